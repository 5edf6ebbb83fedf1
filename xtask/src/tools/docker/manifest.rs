//! Reads `docker manifest inspect -v`: platforms, layers and compressed sizes of an image.
//!
//! Pure. A single image is printed as an object, a list as an array; manifests with Docker media types
//! are in `SchemaV2Manifest`, those with OCI ones in `OCIManifest`. Attestations are entries of a list
//! too, with platform `unknown/unknown`; they are not images and are left out.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// The image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// As the registry names it: `linux`.
    pub os: String,
    /// As the registry names it: `amd64`, `arm64`.
    pub architecture: String,
    /// Compressed size of each layer, in bytes: what a pull transfers.
    pub layers_bytes: Vec<u64>,
}

impl Platform {
    /// Compressed size of all layers, in bytes.
    pub fn compressed_bytes(&self) -> u64 {
        self.layers_bytes.iter().sum()
    }
}

/// The images of a manifest or a manifest list, one per platform.
pub fn parse(text: &str) -> anyhow::Result<Vec<Platform>> {
    let printed: Printed = serde_json::from_str(text)
        .context("failed to parse the output of `docker manifest inspect -v`")?;
    let entries = match printed {
        Printed::Single(entry) => vec![*entry],
        Printed::List(entries) => entries,
    };
    let mut platforms = Vec::new();
    for entry in entries {
        let Some(platform) = entry.descriptor.platform else {
            bail!("an entry of the manifest has no platform");
        };
        if platform.architecture == "unknown" {
            continue;
        }
        let Some(manifest) = entry.schema_v2.or(entry.oci) else {
            bail!(
                "the manifest of {}/{} has neither `SchemaV2Manifest` nor `OCIManifest`",
                platform.os,
                platform.architecture
            );
        };
        platforms.push(Platform {
            os: platform.os,
            architecture: platform.architecture,
            layers_bytes: manifest.layers.iter().map(|layer| layer.size).collect(),
        });
    }
    if platforms.is_empty() {
        bail!("the manifest contains no image");
    }
    Ok(platforms)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Single(Box<Entry>),
    List(Vec<Entry>),
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Descriptor")]
    descriptor: Descriptor,
    #[serde(rename = "SchemaV2Manifest")]
    schema_v2: Option<Manifest>,
    #[serde(rename = "OCIManifest")]
    oci: Option<Manifest>,
}

#[derive(Deserialize)]
struct Descriptor {
    platform: Option<PlatformName>,
}

#[derive(Deserialize)]
struct PlatformName {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(architecture: &str, layers_bytes: &[u64]) -> Platform {
        Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            layers_bytes: layers_bytes.to_vec(),
        }
    }

    #[test]
    fn a_single_image_is_an_object() {
        let text = include_str!("../../../test_data/docker_manifest_single.json");
        assert_eq!(parse(text).unwrap(), [platform("amd64", &[339_499])]);
    }

    #[test]
    fn a_list_is_an_array_and_its_attestation_is_no_image() {
        let text = include_str!("../../../test_data/docker_manifest_index.json");
        assert!(
            text.contains("\"architecture\": \"unknown\""),
            "the captured list has an attestation"
        );
        assert_eq!(
            parse(text).unwrap(),
            [platform("amd64", &[100, 50]), platform("arm64", &[120, 50])]
        );
    }

    #[test]
    fn what_is_no_manifest_is_an_error() {
        for text in [
            "",
            "no such manifest: localhost:5000/t:nope",
            "[]",
            "{}",
            "[{\"Descriptor\":{}}]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
