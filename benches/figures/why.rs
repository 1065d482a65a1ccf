//! Why a figure misses its target, as far as profiles tell.

/// By how its name begins.
const WHY: [(&str, &str); 5] = [
    (
        "write: ",
        "a tag that only asks the engine for a variable takes 0.66 of the peer's time; what is left to \
         ours holds four atomic operations, which find the session and lock it",
    ),
    (
        "read: ",
        "globals that only compare names and lend a constant take 0.82 of the peer's time already; what \
         0.85 leaves is less than the lock that lets a session be shared",
    ),
    (
        "request in memory: read one, write one",
        "SHA-256, base64, the clock, two allocations and 19 atomic operations (locks, counts of \
         references) are half of ours; the other half checks limits, looks up, encodes and merges",
    ),
    (
        "request in memory: read one, of",
        "SHA-256, base64, the clock, two allocations and 13 atomic operations (locks, counts of \
         references) alone take 0.50 of the peer's time with two keys and 0.27 with ten",
    ),
    (
        "commit with 1,000,000",
        "each session that is used lies on pages of its own: some six misses of the cache, which cost \
         0.25 µs where the machine has nothing else to do",
    ),
];

/// Whether a ratio misses a target such as `<= 0.5`.
pub(crate) fn missed(ratio: f64, target: &str) -> bool {
    let (sign, number) = target.split_once(' ').unwrap_or_default();
    match (sign, number.parse::<f64>()) {
        ("<=", Ok(most)) => ratio > most,
        (">=", Ok(least)) => ratio < least,
        _ => false,
    }
}

/// What is known of a figure of this name.
pub(crate) fn why(name: &str) -> Option<&'static str> {
    let (_, why) = WHY.iter().find(|(begin, _)| name.starts_with(begin))?;
    Some(why)
}
