"""Layer meshes: dual-weighted residuals of a layered network, and the loop that bisects layers."""
