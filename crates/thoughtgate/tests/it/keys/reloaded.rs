//! Reloads: keys in force stay, those of another URL are fetched at once.

use std::path::PathBuf;

use super::*;

struct Scene {
    _upstream: MockMcp,
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start(jwt: &str) -> Scene {
        let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path().join("c.yaml"), jwt);
        let path = folder.path().join("c.yaml");
        let (url, file) = (upstream.url(), folder.path().join("p.cedar"));
        std::fs::write(&file, ALL).unwrap();
        let config = ["--config", path.to_str().unwrap()];
        let proxy = Proxy::with(&[&before(&url, &file)[..], &config].concat(), &[]);
        Scene {
            _upstream: upstream,
            proxy,
            folder,
        }
    }

    async fn reload(&self, jwt: &str, generation: f64) {
        write(self.folder.path().join("c.yaml"), jwt);
        let series = "thoughtgate_policy_generation";
        self.proxy.metric_is(series, generation).await;
    }
}

/// Writes a configuration in one step.
fn write(path: PathBuf, jwt: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, format!("agent: {{jwt: {{{jwt}}}}}\n")).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_the_same_url_and_fetches_others() {
    let (first, second) = (issuer(), issuer());
    let one = KeyEndpoint::start(&[first.jwk("a")]).await;
    let other = KeyEndpoint::start(&[second.jwk("a")]).await;
    let at = |endpoint: &KeyEndpoint| format!("jwks_url: '{}', issuer: '{ISSUER}'", endpoint.url());
    let scene = Scene::start(&at(&one));
    let proxy = &scene.proxy;
    proxy.ready().await;
    scene
        .reload(&format!("{}, leeway: 5s", at(&one)), 2.0)
        .await;
    let answer = post(proxy, &bearer(&first, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    assert_eq!(one.fetches(), 1);

    scene.reload(&at(&other), 3.0).await;
    let answer = post(proxy, &bearer(&second, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    assert_eq!(post(proxy, &bearer(&first, "a")).await.status, 401);

    let folder = tempfile::tempdir().unwrap();
    let third = Issuer::new(folder.path());
    let key_file = format!("key_file: '{}'", third.key_file.display());
    scene.reload(&key_file, 4.0).await;
    let answer = post(proxy, &third.bearer(json!({}))).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
    let ready = proxy.ready_is(200).await;
    assert_eq!(ready["checks"]["token_keys"], Value::Null);
    scene.reload(&at(&one), 5.0).await;
    let answer = post(proxy, &bearer(&first, "a")).await;
    assert!(is_permitted(&answer.json()), "{}", answer.text());
}
