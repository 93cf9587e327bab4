"""Numerics: schemes, meshes, interpolation, smoothing and input signals (NumPy and SciPy only)."""
