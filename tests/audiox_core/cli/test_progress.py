"""The bar that appears late."""

from audiox_core.cli.progress import late_bar


def test_nothing_is_printed_before_there_is_progress(capsys):
    with late_bar(unit="step", desc="sampling"):
        pass
    assert capsys.readouterr().err == ""


def test_the_bar_counts_to_its_total(capsys):
    with late_bar(unit="step", desc="sampling", mininterval=0) as show:
        for done in (1, 2, 3, 4):  # one more than expected does no harm
            show(done, 3)
    err = capsys.readouterr().err
    assert "sampling" in err
    assert "3/3" in err
