"""From a dense kernel to a factorised one: arrays in, arrays out."""
