//! A panic inside tract is caught and becomes an error that repeats it, so its text need not also stand on stderr, where
//! it looks like a crash. Every other panic is told as ever.

/// Sets the process's panic hook so that panics which the engine contains are not written to stderr; all others go to
/// the hook that was there.
pub fn quiet_what_is_contained() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !interdict_engine::models::panics_are_contained() {
            told(panic);
        }
    }));
}
