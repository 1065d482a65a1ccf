//! Plain HTTP and HTTPS: 12.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::COOKIE;
use liquid_session::config::Environment;
use liquid_session::http::{PeerAddr, Tls};
use liquid_session::{Secret, SessionConfig};

use crate::support::{Site, Watched};

/// What a request says of where it comes from.
#[derive(Clone, Default)]
struct Sender {
    uri: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    connect_info: Option<&'static str>,
    peer: Option<&'static str>,
    tls: bool,
}

impl Sender {
    fn request(&self, path: &str, cookie: Option<&str>) -> Request {
        let mut request = Request::get(format!("{}{path}", self.uri));
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        if let Some(peer) = self.connect_info {
            request = request.extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        if let Some(peer) = self.peer {
            request = request.extension(PeerAddr(peer.parse::<IpAddr>().unwrap()));
        }
        if self.tls {
            request = request.extension(Tls);
        }
        request.body(Body::empty()).unwrap()
    }
}

const XFP: (&str, &str) = ("x-forwarded-proto", "https");

#[tokio::test]
async fn security_12_plain_http_in_production_has_no_session() {
    let site = Site::new().without_tls();
    let mut browser = site.browser();
    let session = site.sessions.open(None);
    session.set("a", 1).unwrap();
    let secret = session
        .commit()
        .unwrap()
        .secret()
        .map(Secret::expose)
        .unwrap();
    let calls = site.store.calls();

    let plain = Sender::default();
    let cookie = format!("__Host-sid={secret}");
    let answer = browser.send(plain.request("/set/b/1", Some(&cookie))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(
        answer.body.contains("plain HTTP has none in production")
            && answer
                .body
                .contains("`environment: development` on your own machine"),
        "{}",
        answer.body
    );
    for path in [
        "/get/a",
        "/size",
        "/id",
        "/user",
        "/counter",
        "/logout",
        "/broken/logout",
    ] {
        let answer = browser.send(plain.request(path, Some(&cookie))).await;
        assert!(answer.set_cookie().is_none(), "{path}");
        assert!(answer.headers.get("vary").is_none(), "{path}");
    }
    assert_eq!(
        browser
            .send(plain.request("/get/a", Some(&cookie)))
            .await
            .body,
        "None"
    );
    assert_eq!(
        site.store.calls(),
        calls,
        "nothing was loaded, nothing stored, nothing ended"
    );
}

#[tokio::test]
async fn security_12_forwarded_headers_count_only_from_trusted_proxies() {
    let proxies = vec!["10.0.0.0/8".to_owned(), "2001:db8::1".to_owned()];
    let config = SessionConfig::builder()
        .trusted_proxies(proxies)
        .build()
        .unwrap();
    let site = Site::with(Watched::new(), config).without_tls();
    let has_session = async |from: Sender| {
        let answer = site.browser().send(from.request("/set/a/1", None)).await;
        assert_eq!(
            answer.set_cookie().is_some(),
            answer.status == StatusCode::OK
        );
        answer.status == StatusCode::OK
    };
    let proxy = Some("10.1.2.3:4711");
    let visitor = Some("192.0.2.1:4711");
    let forwarded = ("forwarded", "for=192.0.2.1;proto=https");

    // The proxy's word counts, in each of the ways to say it.
    for headers in [vec![XFP], vec![forwarded], vec![XFP, forwarded]] {
        let from = Sender {
            headers: headers.clone(),
            ..Sender::default()
        };
        assert!(
            has_session(Sender {
                connect_info: proxy,
                ..from.clone()
            })
            .await
        );
        assert!(
            has_session(Sender {
                peer: Some("10.1.2.3"),
                ..from.clone()
            })
            .await
        );
        assert!(
            has_session(Sender {
                peer: Some("2001:db8::1"),
                ..from.clone()
            })
            .await
        );
        assert!(
            has_session(Sender {
                peer: Some("::ffff:10.1.2.3"),
                ..from.clone()
            })
            .await
        );
        // The visitor's own does not, nor that of nobody in particular.
        assert!(
            !has_session(Sender {
                connect_info: visitor,
                ..from.clone()
            })
            .await
        );
        assert!(
            !has_session(Sender {
                peer: Some("192.0.2.1"),
                ..from.clone()
            })
            .await
        );
        assert!(
            !has_session(Sender {
                peer: Some("2001:db8::2"),
                ..from.clone()
            })
            .await
        );
        assert!(!has_session(from.clone()).await);
        // What the server itself found out goes before what axum did.
        let both = Sender {
            peer: Some("192.0.2.1"),
            connect_info: proxy,
            ..from
        };
        assert!(!has_session(both).await);
    }
    // The proxy says plain HTTP, or nothing.
    for headers in [
        vec![],
        vec![("x-forwarded-proto", "http")],
        vec![("x-forwarded-proto", "https, http")],
        vec![("x-forwarded-proto", "http, https")],
        vec![XFP, ("forwarded", "proto=http")],
        vec![("forwarded", "proto=https, for=192.0.2.1")],
        vec![("x-forwarded-ssl", "on"), ("x-forwarded-for", "10.0.0.1")],
    ] {
        assert!(
            !has_session(Sender {
                connect_info: proxy,
                headers,
                ..Sender::default()
            })
            .await
        );
    }
    // The request's own word is the visitor's, unless the proxy wrote it.
    let uri = Sender {
        uri: "https://example.com",
        ..Sender::default()
    };
    assert!(!has_session(uri.clone()).await);
    assert!(
        !has_session(Sender {
            connect_info: visitor,
            ..uri.clone()
        })
        .await
    );
    assert!(
        has_session(Sender {
            connect_info: proxy,
            ..uri
        })
        .await
    );
    // TLS ended here.
    assert!(
        has_session(Sender {
            tls: true,
            connect_info: visitor,
            ..Sender::default()
        })
        .await
    );
}

#[tokio::test]
async fn security_12_no_proxy_is_trusted_unless_it_is_named() {
    let site = Site::new().without_tls();
    for peer in ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.1"] {
        let from = Sender {
            peer: Some(peer),
            headers: vec![XFP],
            ..Sender::default()
        };
        let answer = site.browser().send(from.request("/set/a/1", None)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{peer}");
    }
}

#[tokio::test]
async fn security_12_development_allows_plain_http() {
    let config = SessionConfig::builder().environment(Environment::Development);
    let site = Site::with(Watched::new(), config.build().unwrap()).without_tls();
    let answer = site
        .browser()
        .send(Sender::default().request("/set/a/1", None))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.set_cookie().unwrap().contains("; Secure"));
}
