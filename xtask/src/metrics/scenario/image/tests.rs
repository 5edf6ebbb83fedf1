//! Images that were really pushed: the figures are those of the registry.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::metrics::catalog::Metric;
use crate::metrics::model::Value;
use crate::tools::docker::tests::{daemon, pushed};
use crate::tools::http;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn own() -> &'static str {
    Architecture::own().unwrap().name
}

fn shipped(platforms: Vec<Platform>) -> Shipped {
    Shipped {
        base: Ok("scratch".to_owned()),
        platforms: Ok(platforms),
        failure: None,
    }
}

/// The value that the table reads for a metric.
fn value(shipped: &Shipped, metric: &Metric) -> Value {
    let figure = FIGURES.iter().find(|figure| figure.0 == metric).unwrap();
    figure.1(shipped).unwrap().value
}

fn agent() -> ureq::Agent {
    http::loopback(Duration::from_secs(20)).build().new_agent()
}

/// A manifest as the registry stores it, read without docker.
fn stored(registry: &Registry, tag: &str, kind: &str) -> Json {
    let url = format!("http://{}/v2/app/manifests/{tag}", registry.address());
    let mut answer = agent().get(&url).header("accept", kind).call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

/// Puts a manifest into the registry, and returns its digest.
fn put(registry: &Registry, tag: &str, manifest: &Json) -> String {
    let url = format!("http://{}/v2/app/manifests/{tag}", registry.address());
    let kind = manifest["mediaType"].as_str().unwrap();
    let request = agent().put(&url).header("content-type", kind);
    let answer = request.send(manifest.to_string()).unwrap();
    let digest = answer.headers().get("docker-content-digest").unwrap();
    digest.to_str().unwrap().to_owned()
}

/// The list `list` with what `docker buildx` adds to it: an attestation of its first image.
fn attested(registry: &Registry, list: &str) -> Json {
    let image = stored(registry, own(), MANIFEST);
    let mut statement = image["layers"][0].clone();
    statement["mediaType"] = json!("application/vnd.in-toto+json");
    let mut config = image["config"].clone();
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    let attestation = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement],
    });
    let digest = put(registry, "attestation", &attestation);
    let mut index = stored(registry, list, LIST);
    let first = index["manifests"][0]["digest"].clone();
    let entries = index["manifests"].as_array_mut().unwrap();
    entries.push(json!({
        "mediaType": OCI_MANIFEST,
        "digest": digest,
        "size": attestation.to_string().len(),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": first,
        },
    }));
    index["mediaType"] = json!(INDEX);
    index
}

#[test]
fn each_platform_of_a_pushed_list_has_its_own_size_and_its_attestation_none() {
    let Some(docker) = daemon() else { return };
    let registry = Registry::start(&docker).unwrap();
    let reference = |tag: &str| format!("{}/app:{tag}", registry.address());
    let images = [("amd64", 40_000), ("arm64", 70_000)].map(|(architecture, size)| {
        let platform = format!("linux/{architecture}");
        pushed(&docker, &reference(architecture), &platform, size)
    });
    docker.push_list(&reference("list"), &images).unwrap();
    put(&registry, "attested", &attested(&registry, "list"));

    for tag in ["list", "attested"] {
        let platforms = docker.manifest(&reference(tag)).unwrap();
        let names: Vec<&str> = platforms.iter().map(|found| &*found.architecture).collect();
        assert_eq!(names, ["amd64", "arm64"], "{tag}");
        for platform in &platforms {
            let manifest = stored(&registry, &platform.architecture, MANIFEST);
            let layers = manifest["layers"].as_array().unwrap().iter();
            let sizes: Vec<u64> = layers
                .map(|layer| layer["size"].as_u64().unwrap())
                .collect();
            assert_eq!(platform.layers_bytes, sizes, "{tag}");
        }
        let own = platforms.iter().find(|found| found.architecture == own());
        let own_bytes = own.unwrap().compressed_bytes() as f64;
        let shipped = shipped(platforms);
        let value = |metric| value(&shipped, metric);
        assert_eq!(
            value(&BINARY_DOCKER_IMAGE_COMPRESSED),
            Value::Float(own_bytes),
            "{tag}"
        );
        assert_eq!(value(&BINARY_DOCKER_LAYERS), Value::Float(2.0), "{tag}");
        assert_eq!(value(&BINARY_MULTI_ARCH), Value::Boolean(true), "{tag}");
    }
}

#[test]
fn an_image_of_one_platform_is_not_multi_arch() {
    let Some(docker) = daemon() else { return };
    let registry = Registry::start(&docker).unwrap();
    let tag = format!("{}/app:single", registry.address());
    let platform = format!("linux/{}", own());
    let _image = pushed(&docker, &tag, &platform, 1000);
    let shipped = shipped(docker.manifest(&tag).unwrap());
    assert_eq!(value(&shipped, &BINARY_MULTI_ARCH), Value::Boolean(false));
}

#[test]
fn a_build_that_failed_leaves_its_own_metric_unmeasured_and_no_other() {
    let failed = Shipped {
        failure: Some(anyhow::anyhow!("no space left").into()),
        ..shipped(Vec::new())
    };
    let missing = failed.is_multi_arch().unwrap_err();
    assert_eq!(missing.reason, "no space left");
    assert_eq!(
        value(&failed, &BINARY_DOCKER_BASE),
        Value::Text("scratch".to_owned())
    );
    let unpushed = Shipped {
        platforms: Err(missing.clone()),
        ..shipped(Vec::new())
    };
    assert_eq!(unpushed.own(), Err(missing));
}
