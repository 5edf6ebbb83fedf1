//! TLS to the upstream and to Slack, with certificates of a test authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use thoughtgate_test::mock_mcp;
use thoughtgate_test::mock_slack;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::claims;
use crate::keys::{ISSUER, KeyEndpoint, bearer, post};
use crate::support::{ALL, Proxy, before, call, is_permitted, policy};

/// Accepts TLS connections and forwards their plaintext to a server without TLS.
struct Terminator {
    address: SocketAddr,
    folder: TempDir,
}

impl Terminator {
    async fn before(server: SocketAddr) -> Terminator {
        let (config, authority) = certified();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the authority disconnects, as it should.
                    let mut inside = acceptor.accept(stream).await?;
                    let mut outside = TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut inside, &mut outside).await
                });
            }
        });
        Terminator { address, folder }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// A server's TLS configuration for 127.0.0.1, and the certificate of its authority.
fn certified() -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (config, authority.pem())
}

#[tokio::test]
async fn an_upstream_is_spoken_to_in_tls_and_has_to_be_trusted() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let terminator = Terminator::before(upstream.address()).await;
    let url = format!("https://{}/mcp", terminator.address);
    let file = policy(ALL);
    let arguments = before(&url, file.path());
    let authority = terminator.authority();
    let proxy = Proxy::with(
        &arguments,
        &[("SSL_CERT_FILE", authority.to_str().unwrap())],
    );
    let answer = proxy.post(&call("echo")).await.json();
    assert!(is_permitted(&answer), "{answer}");
    assert_eq!(upstream.stats().tool_calls, 1);

    let other = Terminator::before(upstream.address()).await;
    let authority = other.authority();
    let proxy = Proxy::with(
        &arguments,
        &[("SSL_CERT_FILE", authority.to_str().unwrap())],
    );
    let answer = proxy.post(&call("echo")).await;
    assert_eq!(answer.status, 502);
    let error = answer.json()["error"]["message"].to_string();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(upstream.stats().tool_calls, 1);
}

#[tokio::test]
async fn keys_of_tokens_are_fetched_in_tls() {
    let issuer = claims::Issuer::new(tempfile::tempdir().unwrap().path());
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let endpoint = KeyEndpoint::start(&[issuer.jwk("a")]).await;
    let terminator = Terminator::before(endpoint.address()).await;
    let url = format!("https://{}/jwks.json", terminator.address);
    let authority = terminator.authority();
    let environment = [
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
        ("THOUGHTGATE_AGENT_JWT_JWKS_URL", &url),
        ("THOUGHTGATE_AGENT_JWT_ISSUER", ISSUER),
    ];
    let (upstream, file) = (upstream.url(), policy(ALL));
    let proxy = Proxy::with(&before(&upstream, file.path()), &environment);
    proxy.ready().await;
    let answer = post(&proxy, &bearer(&issuer, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
}

#[tokio::test]
async fn approvers_are_asked_in_tls() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
    let address = slack.url()["http://".len()..]
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let terminator = Terminator::before(address.parse().unwrap()).await;
    let file = policy("@approve permit (principal, action, resource);");
    let url = upstream.url();
    let arguments = before(&url, file.path());
    let (authority, base_url) = (
        terminator.authority(),
        format!("https://{}/api", terminator.address),
    );
    let environment = [
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
        ("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", &base_url),
        ("THOUGHTGATE_APPROVAL_SLACK_TOKEN", "xoxb-test"),
        ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "C0"),
        ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "U0APPROVER"),
        ("THOUGHTGATE_APPROVAL_SLACK_POLL_INTERVAL", "20ms"),
    ];
    let proxy = Proxy::with(&arguments, &environment);
    let body = call("echo");
    let answer = proxy.post(&body);
    let approve = async {
        let messages = slack.wait_for_messages(1).await;
        slack.react(&messages[0].ts, "U0APPROVER", "+1");
    };
    let (answer, ()) = tokio::join!(answer, approve);
    assert!(answer.text().contains("\"result\""), "{}", answer.text());
    assert_eq!(upstream.stats().tool_calls, 1);
}
