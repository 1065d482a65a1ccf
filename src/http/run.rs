use std::panic;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind};
use crate::observe;
use crate::session::Session;

impl Session {
    /// Renders a page, with its layout, in a [`transaction`](Self::transaction). Counters and other
    /// values that a template computes from the session are exact, with any number of parallel requests.
    ///
    /// - `render` runs again if another request changed what it had read. Its other effects, such as a
    ///   mail, must allow that.
    /// - With a store that never blocks, such as memory, `render` runs in place; otherwise it runs on a
    ///   blocking thread.
    /// - The session is committed when this returns, and the layer sends the cookie with any status.
    ///   Later writes of the request are committed by the layer.
    /// - Two calls in one request wait for each other.
    /// - If the session ended while the request was running, the page is rendered, nothing is stored,
    ///   and no cookie is sent.
    /// - If `render` fails, its writes are taken back and nothing is stored. Nothing is stored either if
    ///   this future is dropped before the commit has begun, because the visitor disconnected or a
    ///   timeout fired.
    ///
    /// The alternative is to render in the handler and leave the commit to the layer. That suits pages
    /// that store what the visitor chose. A page that computes a value from the stored one may lose an
    /// update to a parallel request, and with a store that blocks, the first read blocks a thread of the
    /// runtime.
    ///
    /// # Errors
    ///
    /// Nothing is stored, except that an [`Unconfirmed`](crate::ErrorKind::Unconfirmed) change may be.
    ///
    /// - The error that `render` returns.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached, or the
    ///   runtime is shutting down.
    /// - Otherwise those of [`transaction`](Self::transaction), without `Gone` for an ended session.
    ///
    /// # Panics
    ///
    /// If `render` panics.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::{Error, MemoryStore, SessionConfig, Sessions};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// let page = session
    ///     .render_page(|session| {
    ///         let visits = session.get_as::<u64>("visits")?.unwrap_or(0) + 1;
    ///         session.set("visits", visits)?;
    ///         Ok::<_, Error>(format!("<p>Visit {visits}</p>"))
    ///     })
    ///     .await?;
    /// assert_eq!(page, "<p>Visit 1</p>");
    /// assert_eq!(sessions.counters().created, 1, "committed already");
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn render_page<T, E, F>(&self, render: F) -> Result<T, E>
    where
        F: FnMut(&Self) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let session = self.clone();
        let work = move |wanted: Wanted| session.attempt_if(render, || wanted.get());
        let (page, _outcome) = blocking(self.may_block(), work).await??;
        Ok(page)
    }
}

/// Whether the result of work on another thread is still wanted.
pub(super) struct Wanted(Weak<()>);

impl Wanted {
    pub(super) fn get(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Runs work that may wait for a store on a blocking thread, and other work in place. Once this future
/// is dropped, the result is not wanted.
pub(super) async fn blocking<T: Send + 'static>(
    may_block: bool,
    work: impl FnOnce(Wanted) -> T + Send + 'static,
) -> Result<T, Error> {
    let waiting = Arc::new(());
    let wanted = Wanted(Arc::downgrade(&waiting));
    let Some(runtime) = may_block.then(Handle::try_current).and_then(Result::ok) else {
        return Ok(work(wanted));
    };
    let work = observe::in_this_span(move || work(wanted));
    let result = runtime.spawn_blocking(work).await;
    drop(waiting);
    result.map_err(|ended| {
        match ended.try_into_panic() {
            // As if it had happened here.
            Ok(payload) => panic::resume_unwind(payload),
            Err(cause) => {
                let problem = "the server is shutting down: the session was not reached";
                let error = Error::with_source(ErrorKind::Unavailable, problem, cause);
                observe::failed(&error);
                error
            }
        }
    })
}
