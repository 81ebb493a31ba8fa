//! Medians, spread, bootstrap intervals, linear fits, and what is odd about a sample.
