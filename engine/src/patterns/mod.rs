//! Patterns: thousands of regular expressions over a transaction's text fields in one pass, by Hyperscan.
