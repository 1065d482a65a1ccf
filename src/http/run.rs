use std::panic;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind};
use crate::observe;
use crate::session::Session;

impl Session {
    /// Renders a page, with its layout, in a [`transaction`](Self::transaction): counters and
    /// everything else that a template computes from the session come out exact, however many
    /// requests run at once.
    ///
    /// - `render` runs again if another request changed what it had read; what it does besides the
    ///   session must bear that.
    /// - It runs in place with a store that never blocks, such as memory, and on a blocking thread
    ///   with the others.
    /// - The session is committed when this returns. The layer sends the cookie, whatever the
    ///   status; later writes of the request get a commit of their own.
    /// - If the session ended meanwhile, the page is rendered all the same, nothing is stored and no
    ///   cookie is sent.
    /// - If `render` fails, what it wrote is taken back and nothing is stored. Nor is anything if this
    ///   future is dropped before the commit begins: the visitor went away, or a timeout fired.
    ///
    /// The plain way is to render in the handler and leave the commit to the layer. It is enough for
    /// pages that store what a visitor chose; a page that computes a value from the stored one may
    /// lose an update to a parallel request. With a store that blocks, it also keeps a thread of the
    /// runtime waiting at the first read.
    ///
    /// # Errors
    ///
    /// What `render` returns, and as for [`transaction`](Self::transaction), except that the end of
    /// the session is none.
    ///
    /// # Panics
    ///
    /// If `render` does.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use liquid_session::{Error, Session};
    ///
    /// async fn counter(session: Session) -> Result<String, StatusCode> {
    ///     session
    ///         .render_page(|session| {
    ///             let visits = session.get_as::<u64>("visits")?.unwrap_or(0) + 1;
    ///             session.set("visits", visits)?;
    ///             Ok::<_, Error>(format!("<p>{visits}</p>"))
    ///         })
    ///         .await
    ///         .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    /// }
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

/// Whether anything still waits for work that runs on another thread.
pub(super) struct Wanted(Weak<()>);

impl Wanted {
    pub(super) fn get(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Runs work that may wait for a store on a blocking thread, and other work in place. The work is
/// not wanted any more once this future is dropped.
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
