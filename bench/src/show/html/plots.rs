//! Plots as SVG: percentiles over a logarithmic axis, and series over time.
