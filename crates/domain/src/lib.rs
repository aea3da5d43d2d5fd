//! Versions, ranges, verdicts and conditions: pure values and functions.
