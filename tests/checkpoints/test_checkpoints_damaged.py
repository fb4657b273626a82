"""Valid checkpoints cut short or changed at random: loaded, or refused in one sentence, and nothing else."""

import random

import pytest
from checkpoint_bytes import FORMATS, valid

import lowrank_sr as lsr

MUTATIONS = 3400  # of each format: 10,200 in all


def outcome(path, content: bytes) -> str:
    """Return the sentence with which `content` is refused, "" where it is loaded."""
    path.write_bytes(content)
    try:
        lsr.load(path)
    except lsr.InputError as refused:
        message = str(refused)
    else:
        return ""
    assert message.startswith(f"{path}: ")
    assert message.isprintable(), "more than one line"
    assert len(message) < 1000
    return message


@pytest.mark.parametrize("file_format", FORMATS)
def test_truncated_at_every_1000th_byte(tmp_path, file_format):
    content = valid(file_format, num_feat=8, num_block=1, num_grow_ch=4)
    assert not outcome(tmp_path / "model", content)
    for size in [*range(0, len(content), 1000), *range(64), *range(len(content) - 64, len(content))]:
        assert outcome(tmp_path / "model", content[:size]), f"loaded from {size} of {len(content)} bytes"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of pickletools, about a string in the pickle
@pytest.mark.parametrize("file_format", FORMATS)
def test_mutated(tmp_path, file_format):
    content = valid(file_format, num_feat=1, num_grow_ch=1)
    generator = random.Random(f"{file_format} 1")
    refused = sum(bool(outcome(tmp_path / "model", mutated(content, generator))) for _ in range(MUTATIONS))
    assert 0 < refused < MUTATIONS


def mutated(content: bytes, generator: random.Random) -> bytes:
    """Return `content` with a few changes: a bit, a byte, a number, or a piece removed, repeated or moved."""
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4))):
        place = generator.randrange(len(changed))
        size = generator.randrange(1, 17)
        match generator.randrange(6):
            case 0:
                changed[place] ^= 1 << generator.randrange(8)
            case 1:
                changed[place] = generator.randrange(256)
            case 2:
                changed[place : place + 4] = generator.choice((b"\xff" * 4, b"\xff\xff\xff\x7f", bytes(4)))
            case 3:
                del changed[place : place + size]
            case 4:
                changed[place:place] = changed[place : place + size]
            case 5:
                source = generator.randrange(len(changed))
                changed[place : place + size] = changed[source : source + size]
    return bytes(changed)
