"""cut_font.py IN.sf2 OUT.sf2 PROGRAM...: a sound font with some presets of bank 0, for machines that take few files."""
import struct, sys
from pathlib import Path

SIZES = {"phdr": 38, "pbag": 4, "pmod": 10, "pgen": 4, "inst": 22, "ibag": 4, "imod": 10, "igen": 4, "shdr": 46}

def chunks(b, start, end):
    while start + 8 <= end:
        name, size = b[start:start + 4].decode(), struct.unpack_from("<I", b, start + 4)[0]
        yield name, start + 8, size
        start += 8 + size + size % 2

def rows(b, table):
    n = SIZES[table]
    return [b[k:k + n] for k in range(0, len(b), n)]

def main(source, target, programs):
    b = Path(source).read_bytes()
    parts, info = {}, b""
    for name, at, size in chunks(b, 12, len(b)):
        kind = b[at:at + 4].decode()
        if kind == "INFO":
            info = b[at:at + size]
        else:
            parts |= {n: b[o:o + s] for n, o, s in chunks(b, at + 4, at + size)}
    t = {n: rows(parts[n], n) for n in SIZES}
    smpl = parts["smpl"]
    u16 = lambda row, at: struct.unpack_from("<H", row, at)[0]
    out = {n: [] for n in SIZES}
    sound, inst_map, sample_map = bytearray(), {}, {}

    def sample(k):
        if k in sample_map:
            return sample_map[k]
        row = bytearray(t["shdr"][k])
        start, end, ls, le = struct.unpack_from("<4I", row, 20)
        new = len(sound) // 2
        sound.extend(smpl[2 * start:2 * end] + bytes(92))
        struct.pack_into("<4I", row, 20, new, new + end - start, new + ls - start, new + le - start)
        sample_map[k] = len(out["shdr"])
        out["shdr"].append(row)
        link = u16(row, 42)
        if struct.unpack_from("<H", row, 44)[0] in (2, 4):
            other = sample(link)
            struct.pack_into("<H", row, 42, other)
        return sample_map[k]

    def zones(bag, gen, mod, first, last, kind, move):
        """Copy bags first..last; `move` maps the index in the generator `kind`."""
        for k in range(first, last):
            out[bag].append(struct.pack("<HH", len(out[gen]), len(out[mod])))
            for g in range(u16(t[bag][k], 0), u16(t[bag][k + 1], 0)):
                op, value = struct.unpack("<HH", t[gen][g])
                out[gen].append(struct.pack("<HH", op, move(value) if op == kind else value))
            out[mod] += t[mod][u16(t[bag][k], 2):u16(t[bag][k + 1], 2)]

    chosen = [k for k in range(len(t["phdr"]) - 1) if u16(t["phdr"][k], 22) == 0 and u16(t["phdr"][k], 20) in programs]
    instruments = []
    def instrument(k):
        if k not in inst_map:
            inst_map[k] = len(instruments)
            instruments.append(k)
        return inst_map[k]
    for k in chosen:
        row = bytearray(t["phdr"][k])
        first, last = u16(row, 24), u16(t["phdr"][k + 1], 24)
        struct.pack_into("<H", row, 24, len(out["pbag"]))
        out["phdr"].append(row)
        zones("pbag", "pgen", "pmod", first, last, 41, instrument)
    for k in instruments:
        row = bytearray(t["inst"][k])
        first, last = u16(row, 20), u16(t["inst"][k + 1], 20)
        struct.pack_into("<H", row, 20, len(out["ibag"]))
        out["inst"].append(row)
        zones("ibag", "igen", "imod", first, last, 53, sample)
    end = bytearray(t["phdr"][-1]); struct.pack_into("<H", end, 24, len(out["pbag"])); out["phdr"].append(end)
    end = bytearray(t["inst"][-1]); struct.pack_into("<H", end, 20, len(out["ibag"])); out["inst"].append(end)
    for bag, gen, mod in (("pbag", "pgen", "pmod"), ("ibag", "igen", "imod")):
        out[bag].append(struct.pack("<HH", len(out[gen]), len(out[mod])))
        out[gen].append(bytes(4)); out[mod].append(bytes(10))
    out["shdr"].append(t["shdr"][-1])
    chunk = lambda name, body: name.encode() + struct.pack("<I", len(body)) + bytes(body) + b"\0" * (len(body) % 2)
    pdta = b"pdta" + b"".join(chunk(n, b"".join(map(bytes, out[n]))) for n in SIZES)
    body = b"sfbk" + chunk("LIST", info) + chunk("LIST", b"sdta" + chunk("smpl", sound)) + chunk("LIST", pdta)
    Path(target).write_bytes(chunk("RIFF", body))
    print(target, Path(target).stat().st_size / 1e6, "MB", len(chosen), "presets", len(sample_map), "samples")

main(sys.argv[1], sys.argv[2], {int(p) for p in sys.argv[3:]})
