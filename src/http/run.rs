use std::panic;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind};
use crate::observe;
use crate::session::{Answer, Finished, Session};

impl Session {
    /// Renders a page, with its layout, in a [`transaction`](Self::transaction). Counters and other
    /// values that a template computes from the session are exact, with any number of parallel requests.
    ///
    /// - `render` runs again if another request changed what it had read. Its other effects, such as a
    ///   mail, must allow that.
    /// - `render` runs in place with a store that never blocks, such as memory, and with one that has an
    ///   [async face](crate::store::SessionStore::as_async), such as Redis. Otherwise it runs on a
    ///   blocking thread.
    /// - With an async face, the first touch of a session that is not loaded fails with
    ///   [`NotLoaded`](crate::ErrorKind::NotLoaded). The load is awaited, and `render` runs again; the
    ///   first run counts for nothing, even if it returned a page, but what `render` does elsewhere, such as an
    ///   event of the tag `log`, has happened. [`logout`](Self::logout),
    ///   [`revoke_others`](Self::revoke_others) and [`user_sessions`](Self::user_sessions) would block
    ///   the thread: call them in [`run`](Self::run).
    /// - The session is committed when this returns, and the layer sends the cookie with any status.
    ///   Later writes of the request are committed by the layer.
    /// - Two calls in one request wait for each other. A [`transaction`](Self::transaction) beside this
    ///   call is an error.
    /// - If the session ended while the request was running, the page is rendered, nothing is stored,
    ///   and no cookie is sent.
    /// - If `render` fails, its writes are taken back and nothing is stored. Nothing is stored either if
    ///   this future is dropped before the commit has begun, because the visitor disconnected or a
    ///   timeout fired.
    ///
    /// The alternative is to [`load`](Self::load), to render in the handler, and to leave the commit to
    /// the layer. That suits pages that store what the visitor chose. A page that computes a value from
    /// the stored one may lose an update to a parallel request.
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
    /// - If `render` panics.
    /// - If it has to wait for other requests, with an async face, on a runtime of tokio without a timer.
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
        let (page, _outcome) = match self.async_store() {
            Some(store) => self.attempt_async(store, render).await?,
            None => {
                let session = self.clone();
                let work = move |wanted: Wanted| session.attempt(render, || wanted.get());
                blocking(self.may_block(), work).await??
            }
        };
        Ok(page)
    }

    /// Loads the session if it is not loaded yet, without blocking the thread. After that,
    /// [`get`](Self::get), [`get_as`](Self::get_as), [`set`](Self::set), [`keys`](Self::keys) and the
    /// like call no store.
    ///
    /// - A store with an [async face](crate::store::SessionStore::as_async) is awaited; another one that
    ///   may block is called on a blocking thread.
    /// - A load counts as a read: the answer depends on the cookie.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the store can't be reached, or the
    ///   runtime is shutting down.
    /// - [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt): the record is damaged.
    /// - [`ErrorKind::Conflict`](crate::ErrorKind::Conflict): another task of this request is committing
    ///   the session.
    ///
    /// ```
    /// use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// /// A handler.
    /// async fn choose_color(session: &Session) -> Result<(), Error> {
    ///     session.load().await?;
    ///     session.set("color", "dark")
    /// }
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// choose_color(&session).await?;
    /// assert!(session.has_changes());
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn load(&self) -> Result<(), Error> {
        if let Some(store) = self.async_store() {
            return self.load_async(store).await;
        }
        let session = self.clone();
        self.wait_for_lock().await;
        let may_block = self.may_block() && self.needs_load();
        blocking(may_block, move |_| session.load_blocking()).await?
    }

    /// Runs work that may wait for the store on a blocking thread: [`take`](Self::take),
    /// [`logout`](Self::logout), [`revoke_others`](Self::revoke_others),
    /// [`user_sessions`](Self::user_sessions). With a store that never blocks it runs in place.
    ///
    /// If this future is dropped, work that has begun goes on, and work that has not begun is not done.
    ///
    /// # Errors
    ///
    /// - The error that `work` returns.
    /// - [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): the runtime is shutting down.
    ///
    /// # Panics
    ///
    /// If `work` panics.
    ///
    /// ```
    /// use liquid_session::{Error, MemoryStore, Session, SessionConfig, Sessions};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// # session.login("ann")?;
    /// # session.set("flash", "saved")?;
    /// # let cookie = session.commit()?.secret().unwrap().expose();
    /// let session = sessions.open(Some(&cookie));
    /// let flash = session.run(|session| session.take("flash")).await?;
    /// assert_eq!(flash, Some("saved".into()));
    /// session.run(Session::logout).await?;
    /// assert!(sessions.user_sessions("ann")?.is_empty());
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Self) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let session = self.clone();
        let work = move |wanted: Wanted| {
            if !wanted.get() {
                return Err(given_up().into());
            }
            work(&session)
        };
        blocking(self.may_block(), work).await?
    }

    /// Ends the request, on a blocking thread if the store has to be called and has no other way.
    pub(super) async fn finish_awaited(&self, answer: Answer) -> Finished {
        if self.async_store().is_some() {
            return self.finish_async(answer).await;
        }
        let session = self.clone();
        self.wait_for_lock().await;
        let may_block = self.may_block() && self.needs_store();
        let finish = move |wanted: Wanted| {
            // An answer that is not wanted any more, because the visitor has gone away for instance,
            // commits nothing.
            session.finish(if wanted.get() { answer } else { Answer::Failed })
        };
        let finished = blocking(may_block, finish).await;
        finished.unwrap_or_else(|error| Finished {
            cookie: None,
            error: Some(error),
        })
    }
}

fn given_up() -> Error {
    Error::new(
        ErrorKind::Gone,
        "the request was given up before this work began: nothing was done",
    )
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
