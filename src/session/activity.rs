use super::Session;

/// What a request has done with its session, from [`Session::activity`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// The loads from the store so far.
    pub loads: u32,
    /// The changes stored so far.
    pub commits: u32,
    /// The keys that the running [`transaction`](Session::transaction) has read, sorted. Empty outside of
    /// one.
    pub read: Vec<String>,
    /// Whether the running transaction has read the session as a whole.
    pub read_all: bool,
    /// The keys with pending changes, sorted: also those that are removed.
    pub written: Vec<String>,
    /// Whether every other key is to be removed.
    pub cleared: bool,
    /// The bytes of the session with the pending changes, of which the settings allow
    /// [`max_bytes`](crate::SessionConfig::max_bytes). Zero before the session is loaded.
    pub bytes: usize,
}

impl Session {
    /// Returns what this request has done with the session so far, for a development toolbar or a line in
    /// the log. It calls no store, and is no use of the session.
    ///
    /// ```
    /// # use liquid_session::{Error, MemoryStore, SessionConfig, Sessions};
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// let (seen, _outcome) = session.transaction(|session| {
    ///     let visits = session.get_as::<u32>("visits")?.unwrap_or(0);
    ///     session.set("visits", visits + 1)?;
    ///     Ok::<_, Error>(session.activity())
    /// })?;
    /// assert_eq!((seen.read, seen.written), (vec!["visits".into()], vec!["visits".into()]));
    /// assert_eq!(session.activity().commits, 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn activity(&self) -> Activity {
        let state = self.lock();
        let transaction = state.transaction.as_deref();
        let read = transaction.map_or(&[][..], |transaction| &transaction.keys);
        Activity {
            loads: state.loads,
            commits: state.commits,
            read: read.iter().map(|key| key.as_str().to_owned()).collect(),
            read_all: transaction.is_some_and(|transaction| transaction.whole),
            written: state.pending.changed().map(str::to_owned).collect(),
            cleared: state.pending.clears(),
            bytes: state.pending.bytes(),
        }
    }
}
