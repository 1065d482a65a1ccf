use std::panic;

use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind};
use crate::observe;

/// Runs work that may wait for a store on a thread where waiting harms nobody, and other work where
/// it is: moving work for the memory store costs a third of the throughput.
///
/// Without a tokio runtime there is no such thread to be had, and it runs in place.
pub(super) async fn run<T: Send + 'static>(
    blocks: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let Some(runtime) = blocks.then(Handle::try_current).and_then(Result::ok) else {
        return Ok(work());
    };
    let work = observe::in_this_span(work);
    runtime.spawn_blocking(work).await.map_err(|ended| {
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
