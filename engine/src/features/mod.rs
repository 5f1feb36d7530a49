//! Velocity features: how often, how much, how many different, how long since, and what share turned out to be
//! fraud, over several windows of event time at once, exactly.
