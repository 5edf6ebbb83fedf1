//! Tests with a real daemon, skipped where there is none; and the errors without one.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use tempfile::TempDir;

use super::registry::Registry;
use super::*;

/// The daemon; none where it is missing, which is printed. In CI a missing daemon is a failure.
pub(crate) fn daemon() -> Option<Docker> {
    match Docker::find() {
        Ok(docker) => Some(docker),
        Err(error) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "CI must have a docker daemon: {error:#}");
            eprintln!("skipped: {error:#}");
            None
        }
    }
}

/// Builds and pushes an image of two layers; the larger `size`, the larger the first of them.
pub(crate) fn pushed(docker: &Docker, tag: &str, platform: &str, size: usize) -> Image {
    let folder = context("COPY program /program\nCOPY more /more\nENTRYPOINT [\"/program\"]\n");
    // Bytes that no compression makes small.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let program: Vec<u8> = (0..size).map(|_| noise()).collect();
    fs::write(folder.path().join("program"), program).unwrap();
    fs::write(folder.path().join("more"), platform).unwrap();
    let dockerfile = folder.path().join("Dockerfile");
    let image = docker.build(&dockerfile, folder.path(), tag, platform);
    let image = image.unwrap();
    docker.push(&image).unwrap();
    image
}

/// An image with nothing to run, unlike all others.
fn small(docker: &Docker, tag: &str) -> Image {
    let folder = context(&format!("LABEL only=\"{tag}\"\nCOPY Dockerfile /\n"));
    let dockerfile = folder.path().join("Dockerfile");
    let image = docker.build(&dockerfile, folder.path(), tag, "linux/amd64");
    image.unwrap()
}

#[test]
fn an_image_that_is_still_in_use_is_removed_and_not_only_untagged() {
    let Some(docker) = daemon() else { return };
    let tag = &format!("xtask-test:{}", unique_name());
    let image = small(&docker, tag);
    let id = image.id.clone().unwrap();
    let guard = Container::guard(&image).unwrap();
    // Gone a moment later, as the container of a client that was killed.
    let removal = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        drop(guard);
    });
    drop(image);
    let all = lines(&["images", "--all", "--quiet", "--no-trunc"]);
    assert!(!all.contains(&id), "{all:?}");
    removal.join().unwrap();
}

#[test]
fn an_image_with_a_tag_of_somebody_else_stays() {
    let Some(docker) = daemon() else { return };
    let image = small(&docker, &format!("xtask-test:{}", unique_name()));
    let mut other = Image::named(&format!("xtask-test:{}", unique_name()));
    other.id.clone_from(&image.id);
    docker.name(&image, other.tag()).unwrap();
    drop(image);
    assert!(!layers(&other).is_empty());
}

/// A folder with a Dockerfile that begins from nothing.
fn context(instructions: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("FROM scratch\n{instructions}");
    fs::write(folder.path().join("Dockerfile"), text).unwrap();
    folder
}

/// The lines that `docker` prints.
fn lines(arguments: &[&str]) -> Vec<String> {
    let sh = Shell::new().unwrap();
    let output = docker(cmd!(sh, "docker {arguments...}"), ASK).unwrap();
    output.stdout.text().lines().map(str::to_owned).collect()
}

/// The digests of an image's layers.
pub(crate) fn layers(image: &Image) -> String {
    let format = "{{json .RootFS.Layers}}";
    lines(&["image", "inspect", "--format", format, image.tag()]).concat()
}

/// Fails when there is a container of this image, whatever its state.
fn nothing_runs(tag: &str) {
    let filter = format!("ancestor={tag}");
    let left = lines(&["ps", "--all", "--quiet", "--filter", &filter]);
    assert_eq!(left, Vec::<String>::new(), "{tag}");
}

fn unavailable(script: &str) -> Unavailable {
    let client = Launch::new("sh").args(["-c", script, "docker"]);
    Docker::ask(client).unwrap_err().downcast().unwrap()
}

#[test]
fn what_is_missing_is_told_with_the_way_out() {
    let missing = Docker::ask(Launch::new("/nowhere/docker")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "there is no `docker` on PATH: install docker (Debian: apt-get install docker.io)"
    );
    let silent = unavailable("echo 'Cannot connect to the Docker daemon at x' >&2; exit 1");
    assert_eq!(
        silent.reason,
        "the docker daemon does not answer (Cannot connect to the Docker daemon at x)"
    );
    assert!(silent.hint.contains("dockerd"), "{}", silent.hint);
    let refused = unavailable("echo 'dial unix x: connect: permission denied' >&2; exit 1");
    assert!(refused.hint.contains("`docker` group"), "{}", refused.hint);
}

/// A registry that answers all that would change it with 403, while the test lasts.
fn forbidding() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut head = String::new();
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines
                .by_ref()
                .take_while(|line| !line.is_empty())
                .for_each(|line| head += &line);
            let status = if head.starts_with("GET /v2/ ") {
                "200 OK"
            } else {
                "403 Forbidden"
            };
            let body = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{body}"
            );
            // A client that has gone does not want it.
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_refused_push_says_why_and_the_way_out() {
    let Some(docker) = daemon() else { return };
    let tag = format!("{}/refused:test", forbidding());
    let image = small(&docker, &tag);
    let message = format!("{:#}", docker.push(&image).unwrap_err());
    let expected = format!("failed to push `{tag}` (run `docker login` for that registry");
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.contains("without --registry"), "{message}");
    assert!(message.ends_with("denied: not for you"), "{message}");
    let list = format!("{tag}-list");
    let message = format!("{:#}", docker.push_list(&list, &[image]).unwrap_err());
    assert!(
        message.starts_with(&format!("failed to push the manifest list `{list}`")),
        "{message}"
    );
    assert_eq!(lines(&["images", "--quiet", &tag]), Vec::<String>::new());
}

#[test]
fn a_container_that_cannot_start_says_why_and_leaves_nothing() {
    let Some(docker) = daemon() else { return };
    let tag = &format!("xtask-test:{}", unique_name());
    let image = small(&docker, tag);
    let mut container = docker
        .run(image.tag(), &["--entrypoint", "/missing"], &[])
        .unwrap();
    let message = loop {
        if let Err(error) = container.check_running() {
            break format!("{error:#}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(message.contains("is not running"), "{message}");
    assert!(message.contains("/missing"), "{message}");
    drop(container);
    nothing_runs(tag);
}

#[test]
fn a_container_dropped_while_it_is_made_leaves_nothing() {
    let Some(docker) = daemon() else { return };
    let tag = &format!("xtask-test:{}", unique_name());
    let image = small(&docker, tag);
    // A program of this machine, in an image that has none.
    let mounts = ["/bin", "/usr", "/lib", "/lib64"].map(|folder| format!("{folder}:{folder}:ro"));
    let mut options = vec!["--entrypoint", "/bin/sleep"];
    options.extend(mounts.iter().flat_map(|mount| ["--volume", mount]));
    for wait_ms in [0, 30, 100, 300] {
        let container = docker.run(image.tag(), &options, &["300"]).unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        drop(container);
    }
    nothing_runs(tag);
}

#[test]
fn the_second_platform_of_an_image_is_not_the_first() {
    let Some(docker) = daemon() else { return };
    let folder = context("COPY Dockerfile /\n");
    let dockerfile = folder.path().join("Dockerfile");
    // The same files: what the first left could be taken for the second.
    for architecture in ["amd64", "arm64"] {
        let tag = format!("xtask-test:{}", unique_name());
        let platform = format!("linux/{architecture}");
        let image = docker.build(&dockerfile, folder.path(), &tag, &platform);
        let image = image.unwrap();
        let format = "{{.Architecture}}";
        let built = lines(&["image", "inspect", "--format", format, image.tag()]);
        assert_eq!(built, [architecture]);
    }
}

#[test]
fn a_container_ends_with_the_input_of_its_guard() {
    let Some(docker) = daemon() else { return };
    let tag = &format!("xtask-test:{}", unique_name());
    let image = small(&docker, tag);
    let guard = Container::guard(&image).unwrap();
    let mut options = system_mounts().unwrap();
    options.extend([
        "--entrypoint=/bin/sleep".to_owned(),
        guard.shared_processes(),
    ]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut container = docker.run(image.tag(), &options, &["300"]).unwrap();
    while container.pid().is_err() {
        container.check_running().unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    // The guard's client alone, as when all processes of a run are killed at once.
    guard.lose_client();
    while container.check_running().is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    while !lines(&[
        "ps",
        "--all",
        "--quiet",
        "--filter",
        &format!("ancestor={tag}"),
    ])
    .is_empty()
    {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_registry_ends_with_its_owner() {
    let Some(docker) = daemon() else { return };
    let registry = Registry::start(&docker).unwrap();
    let address = registry.address().replace("localhost", "127.0.0.1");
    std::net::TcpStream::connect(&address).unwrap();
    drop(registry);
    assert!(std::net::TcpStream::connect(&address).is_err());
}
