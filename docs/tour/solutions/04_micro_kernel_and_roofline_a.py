"""The micro-kernel with the fewest loads a multiply-add, among those that fit into the registers."""

from lowrank_sr.machine.cpu import LANES, MR, NR


def shapes(registers):
    """(rows, vectors): for each number of vectors the most rows of which sums and operands fit."""
    for vectors in range(1, registers):
        rows = (registers - 1 - vectors) // vectors  # rows x vectors sums, `vectors` of weights, one broadcast number
        if rows > 0:
            yield rows, vectors


def loads(shape):
    """Loads and broadcasts for each vector multiply-add."""
    rows, vectors = shape
    return (rows + vectors) / (rows * vectors)


def without_waste(registers, lanes, channels):
    """The shapes whose columns divide the output channels."""
    return [shape for shape in shapes(registers) if channels % (shape[1] * lanes) == 0]


for registers, lanes in [(32, 16), (16, 8)]:
    best = min(shapes(registers), key=loads)
    fitting = min(without_waste(registers, lanes, 32), key=loads)
    print(f"{registers} registers of {lanes} lanes: (rows, vectors) = {best}, {loads(best):.2f} loads a multiply-add;")
    print(f"    without waste {fitting}, {loads(fitting):.2f} loads")

assert min(shapes(32), key=loads) == (5, 5)  # but 80 channels across: 32 wanted of 80
assert min(without_waste(32, 16, 32), key=loads) == (14, 2)
assert min(shapes(16), key=loads) == (4, 3)  # 24 channels across, 32 are wanted of 48
assert min(without_waste(16, 8, 32), key=loads) == (6, 2)

# The package's micro-kernel has 2 vectors as well. With 32 registers it takes 12 of the 14 rows that fit, and leaves 8
# registers for operands.
assert NR == 2 * LANES
assert MR in (12, 6)
