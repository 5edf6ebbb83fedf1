//! Starts the proxy, waits for a signal, drains, and exits.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process;
use thoughtgate_approval::ChannelSettings;
use thoughtgate_panic::{info, log, warn};
use thoughtgate_policy::Engine;
use thoughtgate_proxy::{Rules, Server, Settings, Shared};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::flags::{Command, Flags};
use crate::load::{self, Loaded};
use crate::reload::{Change, Inputs, Reloader};
use crate::text::print;
use crate::{
    approvals, authors, descriptors, exposure, online, overlay, policies, reload, settings,
};

/// A mistake where policies are needed.
const NO_POLICY: &str =
    "no policy is configured, so everything would be refused; pass --policy FILE or set `policy`";

/// Validates the configuration with `--check`; otherwise serves until a signal arrives.
pub fn main(flags: Flags) -> anyhow::Result<ExitCode> {
    // `vars` would panic on a variable that is not UTF-8; such a one is skipped, since no setting can be read
    // from it.
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if flags.check || flags.command.is_some() {
        overlay::warn_of_unknown(&environment);
    }
    match &flags.command {
        Some(Command::Test { files }) => return authors::test(&flags, &environment, files),
        Some(Command::Explain(options)) => return authors::explain(&flags, &environment, options),
        None => {}
    }
    if flags.check {
        let prepared = prepare(&flags, &environment, true)?;
        let engine = prepared.engine.as_ref().context(NO_POLICY)?;
        let policies = engine.policy_count();
        prepared.inputs.warn_of_missing(Some(engine));
        load::warn_of_no_path(&prepared.inputs.config);
        print(&format!(
            "ok: configuration, schema and {policies} policies are valid\n"
        ))?;
        if flags.online {
            let channel = prepared.approval.as_ref().map(|(_, channel)| channel);
            return online::check(&prepared.fixed, &prepared.rules, engine, channel);
        }
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "slowdown")]
    thoughtgate_proxy::slowdown::at_start();
    let Prepared {
        inputs,
        mut fixed,
        rules,
        approval,
        engine,
        took,
    } = started(prepare(&flags, &environment, false), &environment)?;
    descriptors::raise();
    descriptors::fit(&mut fixed);
    inputs.warn_of_missing(engine.as_ref());
    reload::warn_of_mode(inputs.config.mode);
    exposure::warn_at_start(fixed.listen.ip(), &inputs.config.agent);
    // Opens the audit log: a file that cannot be written ends the start, before any address is bound.
    let shared = Shared::new(fixed, rules, engine, took)?;
    let file = flags.config.clone();
    let source = Box::new(move || load::config(&flags, &environment));
    let reloader = Reloader::new(Arc::clone(&shared), source, inputs);
    // For the control thread alone: each worker has a runtime of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    runtime.block_on(async {
        let _limited = fail_at_file_limit()?;
        // Before the first request, which may retry a call that was asked for before a restart.
        if let Some((approval, channel)) = approval {
            shared.open_approvals(approval, channel).await?;
        }
        serve(shared, reloader, file.as_deref()).await
    })
}

/// The configuration and the files it names, read and checked.
struct Prepared {
    inputs: Inputs,
    fixed: Settings,
    rules: Rules,
    approval: Option<(thoughtgate_approval::Settings, ChannelSettings)>,
    engine: Option<Engine>,
    /// Time to read, parse and validate the policies.
    took: Duration,
}

/// Reads and checks everything that `flags` and `environment` configure, including the files that they
/// name. Returns the number of policies, or `None` when no policy is configured.
pub fn check(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<Option<usize>> {
    let engine = prepare(flags, environment, false)?.engine;
    Ok(engine.map(|engine| engine.policy_count()))
}

/// Each part is read and checked whatever is wrong with the others, so that all mistakes are reported at once.
/// That there are no policies is one if they are `needed`.
fn prepare(
    flags: &Flags,
    environment: &[(String, String)],
    needed: bool,
) -> anyhow::Result<Prepared> {
    let Loaded {
        config,
        mut places,
        mistakes: mut wrong,
    } = load::partial(flags, environment);
    let fixed = settings::fixed(&config).map_err(|error| places.locate(&error));
    let fixed = wrong.keep(fixed);
    let approval = approvals::settings(&config.approval).map_err(|error| places.locate(&error));
    let approval = wrong.keep(approval);
    let started = Instant::now();
    let key = wrong.keep(settings::key(&config).map_err(|error| places.locate(&error)));
    if key.is_none() {
        places.forget("agent.jwt.key_file");
    }
    let sources = if places.is_unread("policy") {
        None
    } else {
        wrong.keep(policies::read(&config).map_err(|error| places.locate_at("policy", &error)))
    };
    let are_read = sources.is_some();
    let inputs = Inputs::new(config, key.flatten(), sources.flatten());
    let rules = wrong.keep(inputs.rules(&places).map_err(Into::into));
    let engine = inputs.engine().map_err(|refused| {
        places.locate_others(&refused.reason, |mistake| inputs.is_in_policies(mistake))
    });
    let engine = wrong.keep(engine);
    if needed
        && are_read
        && let Some(engine) = &engine
    {
        wrong.require(engine.is_some(), || NO_POLICY.to_owned());
        let is_empty = engine
            .as_ref()
            .is_some_and(|engine| engine.policy_count() == 0);
        wrong.require(!is_empty, || policies::EMPTY.to_owned());
    }
    let took = started.elapsed();
    wrong.or(())?;
    // Nothing is missing where nothing is wrong.
    let parts = fixed.zip(rules).zip(approval).zip(engine);
    let (((fixed, rules), approval), engine) =
        parts.context("internal error: a part of the configuration is missing")?;
    Ok(Prepared {
        inputs,
        fixed,
        rules,
        approval,
        engine,
        took,
    })
}

/// Starts the log, if the configuration could be read. Otherwise the error, and a warning that may explain
/// it, are for the person who starts the process, as plain text.
fn started(
    prepared: anyhow::Result<Prepared>,
    environment: &[(String, String)],
) -> anyhow::Result<Prepared> {
    if let Ok(prepared) = &prepared {
        log::start(prepared.inputs.config.log.settings()).context("failed to start the log")?;
    }
    overlay::warn_of_unknown(environment);
    prepared
}

async fn serve(
    shared: Arc<Shared>,
    reloader: Reloader,
    file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let server = Server::bind(Arc::clone(&shared))?;
    let address = server
        .address()
        .context("failed to read the bound address")?;
    let admin = server
        .admin_address()
        .map(|address| format!(", admin on {address}"))
        .unwrap_or_default();
    let Settings {
        workers,
        upstream,
        drain_timeout,
        ..
    } = &shared.settings;
    // Signals are handled from here on, before the line that says that the proxy listens: whoever waits for
    // it may send one, and by default each of them ends the process.
    let stop = stop_signal()?;
    let reload = reload::start(reloader, file)?;
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    let audit = shared.audit.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() && reload.send(Change::Asked).is_ok() {
            // Rotation of logs sends SIGHUP after it has moved the file away.
            if let Some(audit) = &audit {
                audit.reopen();
            }
        }
    });
    let noun = if *workers == 1 { "worker" } else { "workers" };
    info!("listening on {address}{admin} ({workers} {noun}, upstream {upstream:?})");
    info!("{}", places(address, server.admin_address()));
    let drained = server.run(stop).await.context("failed to serve")?;
    if drained.cut_off > 0 {
        warn!(
            "{} requests were cut off after `timeouts.drain` ({drain_timeout:?})",
            drained.cut_off
        );
    }
    // The approvals first: what they still write has lines in the audit.
    if let Some(approvals) = shared.approvals() {
        approvals.close().await;
    }
    if let Some(audit) = &shared.audit {
        audit.close();
    }
    info!("stopped");
    log::flush();
    // Workers are not joined: whatever they still hold is past the drain deadline.
    std::process::exit(0);
}

/// The URLs for agents, probes and monitoring, as seen from this machine.
fn places(main: SocketAddr, admin: Option<SocketAddr>) -> String {
    let base = |address: SocketAddr| {
        let port = address.port();
        // Not an address that a client can connect to; loopback is always one of those that it stands for.
        if address.ip().is_unspecified() {
            format!("http://localhost:{port}")
        } else {
            format!("http://{address}")
        }
    };
    let (mcp, admin) = (base(main), base(admin.unwrap_or(main)));
    format!(
        "MCP at {mcp}/mcp, health at {admin}/health and {admin}/ready, metrics at {admin}/metrics"
    )
}

/// Makes a write beyond the limit of file sizes (`ulimit -f`) fail, as on a full disk; without a handler of its
/// signal it would kill the process.
fn fail_at_file_limit() -> anyhow::Result<Signal> {
    signal(SignalKind::from_raw(process::Signal::XFSZ.as_raw()))
        .context("failed to listen for SIGXFSZ")
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let (first, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            // Exit codes of a process that dies by the signal, as shells report them: 128 + number.
            let code = tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            };
            if let Some(first) = first.take() {
                info!("stopping: waiting for in-flight requests");
                // Fails only when the server has ended without a signal.
                let _ = first.send(());
            } else {
                log::flush();
                std::process::exit(code)
            }
        }
    });
    Ok(async {
        let _ = stopped.await;
    })
}
