"""What counts as media in a folder."""

from audiox_core.media.folder import IMAGE_SUFFIXES, MEDIA_SUFFIXES, media_files


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder, suffixes=MEDIA_SUFFIXES):
    return [path.relative_to(folder).as_posix() for path in media_files(folder, suffixes)]


def test_media_in_any_depth_is_found_in_order(tmp_path):
    names = ("b.mp4", "a.WAV", "c/d/ü 1.webm", "notes.txt", ".hidden.mp4", ".cache/x.mp4", "noend")
    touch(tmp_path, *names)
    assert found(tmp_path) == ["a.WAV", "b.mp4", "c/d/ü 1.webm"]


def test_only_the_given_suffixes_are_found(tmp_path):
    touch(tmp_path, "a.png", "b.mp4")
    assert found(tmp_path, IMAGE_SUFFIXES) == ["a.png"]


def test_links_are_followed_without_endless_loops(tmp_path):
    media, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    touch(media, "a/x.mp4")
    touch(elsewhere, "y.mp4")
    (media / "link").symlink_to(elsewhere)
    (media / "a" / "circle").symlink_to(media)
    assert found(media) == ["a/x.mp4", "link/y.mp4"]
