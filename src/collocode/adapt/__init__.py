"""Error estimates by dual-weighted residuals, and refinement where they say it pays."""
