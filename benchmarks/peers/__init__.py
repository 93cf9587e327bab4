"""The systems that ``benchmarks/van_der_pol.py`` compares, one module per system.

Every module has ``run(data, seed=0, **settings) -> PeerResult``; `peers.common` holds what they
share (data, Radau grid, start, scoring) so that they differ only in the method.
"""
