//! One test per promise of the security list that is the stores' and the handle's to keep, by its
//! number there. Those that concern HTTP are in `tests/http/security`, the sensitive data in
//! `tests/session/sensitive.rs`; the page `docs/guide/security.md` names them all.

mod at_rest;
mod atomic;
mod bounded;
mod page;

use std::path::{Path, PathBuf};

use liquid_session::{Error, Session};

/// Commits, and gives the new secret as the visitor's browser keeps it.
fn cookie(session: &Session) -> String {
    let outcome = session.commit().unwrap();
    outcome.secret().expect("a new secret").expose()
}

/// The files below a folder of this crate.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).unwrap();
        let (below, here): (Vec<_>, Vec<_>) = entries
            .map(|entry| entry.unwrap().path())
            .partition(|path| path.is_dir());
        folders.extend(below);
        files.extend(here);
    }
    files
}

const THREADS: usize = 8;

/// Runs the same in some threads that begin at once.
fn together<T: Send>(work: impl Fn(usize) -> Result<T, Error> + Sync) -> Vec<Result<T, Error>> {
    let start = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(thread)
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.collect()
    })
}
