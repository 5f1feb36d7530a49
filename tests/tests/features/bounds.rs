//! What happens at the bounds.
