//! A small shop on axum, to click through: a folder of pages, layouts and partials with front matter,
//! as platformOS lays it out, and sessions in all of them.
//!
//! ```sh
//! cargo run --example storefront --features axum,redb,views
//! ```
//!
//! - `app.rs` is what a host does in Rust: routes, signing in and out, and one line that renders. What the
//!   pages do with the session is in the pages: `fixtures/site/views/`.
//! - `app/watch.rs` shows what each request does with the session: a line on the terminal, and in
//!   development a strip below each page.
//! - `app/options.rs` reads the arguments and opens the store.

mod app;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use app::Shop;
use app::options::{Options, USAGE};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            app::log(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let shop = Shop::open(&options.site, options.sessions()?)?;
    let port = options.port;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("port {port}: {error} (`--port 0` takes a free one)"))?;
    println!("sessions in {}", options.store);
    println!("templates in {}", options.site.display());
    println!("listening on http://{}", listener.local_addr()?);
    let routes = shop.routes();
    let log = Arc::new(|line: &str| println!("{line}"));
    shop.serve(routes, listener, log, interrupted()).await?;
    println!("stopped");
    Ok(())
}

/// Waits for Ctrl-C, or for a supervisor that asks to stop.
async fn interrupted() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = ctrl_c.await;
}
