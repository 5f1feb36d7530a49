//! `interdict-bench`: stream the simulated world, make open-loop load, serve the comparison handler, measure both
//! beside each other, and write the results.

mod args;

use anyhow::Context;
use args::{
    Cli, Command, CurvesArgs, DemoArgs, DemoConsortiumArgs, EmptyArgs, LoadArgs, LogArgs, OverloadArgs,
    ReportArgs, RestartArgs, RunAllArgs, ServedArgs, SettleArgs, SurgesArgs, SwapArgs, WorldArgs,
};
use clap::Parser;
use interdict_bench::client::Target;
use interdict_bench::demo::alliance::AllianceConfig;
use interdict_bench::demo::{self, DemoConfig};
use interdict_bench::load::bodies::{Bodies, Kind};
use interdict_bench::load::empty::{self, EmptyConfig};
use interdict_bench::load::overload;
use interdict_bench::load::saturation::{self, Limits};
use interdict_bench::load::swap;
use interdict_bench::load::{self, LoadConfig, LoadReport};
use interdict_bench::restart::{self, RestartConfig};
use interdict_bench::results::machine::Stamp;
use interdict_bench::results::orchestrate::{self, Plan};
use interdict_bench::results::{self, criterion};
use interdict_bench::settle::{self, SettleConfig};
use interdict_bench::translog;
use interdict_bench::world::stream::Streamer;
use interdict_bench::world::{World, WorldConfig, file, stages};
use mimalloc::MiMalloc;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// As `interdict` has it, so that the comparison handler differs in what it does alone.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::World(args) => world(&args),
        Command::Load(args) => load(&args),
        Command::Overload(args) => surge(&args, false),
        Command::Fair(args) => surge(&args, true),
        Command::Swap(args) => swap(&args),
        Command::Empty(args) => serve_empty(&args),
        Command::RunAll(args) => run_all(args),
        Command::Curves(args) => curves(args),
        Command::Restart(args) => restart(args),
        Command::Settle(args) => settle(args),
        Command::Log(args) => log(&args),
        Command::DemoRetrohunt(args) => demo(args),
        Command::DemoConsortium(args) => demo_consortium(args),
        Command::Surges(args) => surges(args),
        Command::Report(args) => report(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interdict-bench: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn world(args: &WorldArgs) -> anyhow::Result<()> {
    let mut config =
        WorldConfig { seed: args.seed, transactions: args.transactions, ..WorldConfig::default() };
    if let Some(out) = &args.out {
        let count = file::write(&World::new(&config)?, out)?;
        eprintln!("interdict-bench: {count} messages in {}", out.display());
        return Ok(());
    }
    let target = Target::parse(args.url.as_deref().expect("clap asks for url or out"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        target.wait_ready(Duration::from_secs(args.wait)).await?;
        let mut streamer =
            Streamer::new(target.clone(), std::io::stderr().is_terminal() && !args.json).await?;
        loop {
            streamer.run(&World::new(&config)?, args.speed).await?;
            if args.json {
                println!("{}", streamer.report().json());
            } else {
                print!("{}", streamer.report().table());
            }
            if args.stages {
                print!("\n{}", stages::table(&target).await?);
            }
            if args.once {
                return Ok(());
            }
            config.round += 1;
        }
    })
}

/// The load that arguments ask for.
fn config(args: &LoadArgs) -> anyhow::Result<LoadConfig> {
    anyhow::ensure!(args.rate > 0.0 && args.rate.is_finite(), "rate {}: expected above 0", args.rate);
    anyhow::ensure!(
        args.seconds > 0.0 && args.seconds <= 3600.0,
        "seconds {}: expected up to 3600",
        args.seconds
    );
    anyhow::ensure!(
        (1..=4096).contains(&args.connections),
        "connections {}: expected 1 to 4096",
        args.connections
    );
    let warmup_s = args.warmup.unwrap_or(args.seconds / 5.0);
    anyhow::ensure!(
        warmup_s >= 0.0 && warmup_s < args.seconds,
        "warmup {warmup_s}: expected less than seconds"
    );
    Ok(LoadConfig {
        target: Target::parse(&args.url)?,
        rate: args.rate,
        seconds: args.seconds,
        warmup_s,
        connections: args.connections,
        arrival: args.arrival,
        seed: args.seed,
        pid: args.pid,
    })
}

fn swap(args: &SwapArgs) -> anyhow::Result<()> {
    anyhow::ensure!((1..=50).contains(&args.rounds), "rounds {}: expected 1 to 50", args.rounds);
    anyhow::ensure!(
        args.every >= 0.0 && args.every <= 3600.0,
        "every {}: expected up to 3600 seconds",
        args.every
    );
    let config = config(&args.load)?;
    let mut bodies = Bodies::new(args.load.body, args.load.seed, None)?;
    let found = swap::measure(&config, &mut bodies, args.rounds, Duration::from_secs_f64(args.every))?;
    if args.load.json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    for (quiet, publishing) in found.quiet_p99_us.iter().zip(&found.publishing_p99_us) {
        println!("p99 without {quiet:>9.0} µs   with {publishing:>9.0} µs");
    }
    println!(
        "ratio of the medians {:.2}; {} publications of {:.0} ms; {} requests not answered with 200",
        found.p99_ratio, found.publications, found.publication_ms, found.failed
    );
    Ok(())
}

fn load(args: &LoadArgs) -> anyhow::Result<()> {
    let config = config(args)?;
    let mut bodies = Bodies::new(args.body, args.seed, None)?;
    if args.find_saturation {
        let found = saturation::find(&config, &mut bodies, Limits::default())?;
        if args.json {
            println!("{}", serde_json::to_string(&found)?);
            return Ok(());
        }
        for step in &found.steps {
            println!(
                "{:>9.0}/s  answered {:>9.0}/s  p99 {:>9.0} µs  backlog {:>6}  {}",
                step.rate,
                step.answered_per_s,
                step.p99_us,
                step.backlog_max,
                if step.held { "held" } else { "broke" }
            );
        }
        println!("holds {:.0}/s with p99 ≤ {:.0} µs", found.rate, found.p99_limit_us);
        return Ok(());
    }
    let report = load::run(&config, bodies.take(load::requests(&config)))?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_load(&report);
    }
    Ok(())
}

fn print_load(report: &LoadReport) {
    println!(
        "{} requests at {:.0}/s over {} connections; answered {:.0}/s; backlog at most {}",
        report.requests, report.rate, report.connections, report.answered_per_s, report.backlog_max
    );
    let statuses: Vec<String> =
        report.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    println!("status {}; broken {}; unfinished {}", statuses.join(", "), report.errors, report.unfinished);
    for (name, p) in [
        ("from intended start", &report.latency_us),
        ("from actual start", &report.service_us),
        ("generator woke late", &report.generator_lag_us),
    ] {
        println!(
            "{name:<20} µs: p50 {:.0}  p90 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
            p.p50, p.p90, p.p99, p.p999, p.max
        );
    }
    if let Some(cpu_us) = report.server_cpu_us_per_request {
        println!("server: {cpu_us:.1} CPU-µs a request");
    }
}

fn surge(args: &OverloadArgs, fair: bool) -> anyhow::Result<()> {
    anyhow::ensure!(args.rate > 0.0 && args.rate.is_finite(), "rate {}: expected above 0", args.rate);
    for (name, seconds) in [("seconds", args.seconds), ("step-seconds", args.step_seconds)] {
        anyhow::ensure!((0.5..=600.0).contains(&seconds), "{name} {seconds}: expected 0.5 to 600");
    }
    anyhow::ensure!(
        (1..=16_384).contains(&args.connections),
        "connections {}: expected 1 to 16384",
        args.connections
    );
    let plan = overload::Plan {
        target: Target::parse(&args.url)?.with_header("interdict-deadline-ms", &args.deadline_ms.to_string()),
        deadline: Duration::from_millis(args.deadline_ms.into()),
        rate: args.rate,
        step_seconds: args.step_seconds,
        seconds: args.seconds,
        times: args.times.unwrap_or(if fair { 10.0 } else { 3.0 }),
        connections: args.connections,
        seed: args.seed,
        pid: args.pid,
    };
    let mut bodies = Bodies::new(Kind::World, args.seed, None)?;
    let (json, text) = if fair {
        let told = overload::fair(&plan, &mut bodies)?;
        (serde_json::to_string(&told)?, told.text())
    } else {
        let told = overload::run(&plan, &mut bodies)?;
        (serde_json::to_string(&told)?, told.text())
    };
    if args.json {
        println!("{json}");
    } else {
        print!("{text}");
    }
    Ok(())
}

fn serve_empty(args: &EmptyArgs) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = args.threads {
        anyhow::ensure!((1..=256).contains(&threads), "threads {threads}: expected 1 to 256");
        builder.worker_threads(threads);
    }
    let stall = args.stall_after.zip(args.stall_ms.map(Duration::from_millis));
    let config = EmptyConfig { answer_bytes: args.answer_bytes, stall };
    builder.enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(&args.http)
            .await
            .with_context(|| format!("cannot listen on {}", args.http))?;
        eprintln!("interdict-bench: comparison handler on http://{}", listener.local_addr()?);
        empty::serve(listener, config).await
    })
}

/// What is measured, and where it is kept. `rates`: the rate a second, how long it is made, and a step of the search, in
/// seconds.
fn plan(
    served: ServedArgs,
    work: PathBuf,
    rounds: usize,
    rates: (f64, f64, f64),
    connections: usize,
) -> Plan {
    let ServedArgs { binary, config, data_sets, seed } = served;
    let data_sets = data_sets.or_else(|| std::env::var_os("INTERDICT_DATA").map(PathBuf::from));
    let watchlists = data_sets.map_or_else(Vec::new, |folder| Plan::sanctions(&folder));
    let (rate, seconds, step_seconds) = rates;
    Plan { binary, config, watchlists, work, rounds, rate, seconds, step_seconds, connections, seed }
}

fn run_all(args: RunAllArgs) -> anyhow::Result<()> {
    anyhow::ensure!((1..=50).contains(&args.rounds), "rounds {}: expected 1 to 50", args.rounds);
    let rates = (args.rate, args.seconds, args.step_seconds);
    let plan = plan(args.served, args.report.work.clone(), args.rounds, rates, args.connections);
    orchestrate::run(&plan)?;
    if args.measure_only {
        return Ok(());
    }
    report(&args.report)
}

fn curves(args: CurvesArgs) -> anyhow::Result<()> {
    for (name, value) in [("seconds", args.seconds), ("step-seconds", args.step_seconds)] {
        anyhow::ensure!((0.1..=600.0).contains(&value), "{name} {value}: expected 0.1 to 600");
    }
    let rates = (args.rate, args.seconds, args.step_seconds);
    let plan = plan(args.served, args.work, 1, rates, args.connections);
    results::curves::run(&plan, &args.lanes).map(drop)
}

fn settle(args: SettleArgs) -> anyhow::Result<()> {
    let SettleArgs { repository, binary, work, events, rounds } = args;
    anyhow::ensure!(
        events > 0 && rounds <= 50,
        "events {events}, rounds {rounds}: expected 1 or more, and up to 50"
    );
    std::fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
    let report = settle::run(&SettleConfig { repository, binary, work, events, rounds })?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn log(args: &LogArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.leaves > 0, "leaves 0: expected 1 or more");
    std::fs::create_dir_all(&args.work).with_context(|| args.work.display().to_string())?;
    let report = translog::run(&args.work, args.leaves)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn restart(args: RestartArgs) -> anyhow::Result<()> {
    let RestartArgs { config, work, events, runs, keep } = args;
    anyhow::ensure!(events > 0 && runs > 0, "events {events}, runs {runs}: expected 1 or more");
    let report = restart::run(&RestartConfig { config, work, events, runs, keep })?;
    println!("{}", serde_json::to_string(&report)?);
    let (image, journal) = (results::median(&report.image_s), results::median(&report.journal_s));
    eprintln!(
        "{events} payments: the state is there in {image:.2} s from an image of {} MiB, in {journal:.2} s from a \
         journal of {} MiB, {:.0} times as long; the states are equal byte for byte",
        report.image_bytes >> 20,
        report.journal_bytes >> 20,
        journal / image
    );
    Ok(())
}

fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let DemoArgs { binary, repository, work } = args;
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    demo::run(&DemoConfig { binary, repository, work, colours })
}

fn demo_consortium(args: DemoConsortiumArgs) -> anyhow::Result<()> {
    let DemoConsortiumArgs { binary, repository, python, work } = args;
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    demo::alliance::run(&AllianceConfig { binary, repository, python, work, colours })
}

fn surges(args: SurgesArgs) -> anyhow::Result<()> {
    for (name, seconds) in [("seconds", args.seconds), ("step-seconds", args.step_seconds)] {
        anyhow::ensure!((0.5..=600.0).contains(&seconds), "{name} {seconds}: expected 0.5 to 600");
    }
    let rates = (args.rate, args.seconds, args.step_seconds);
    let plan = plan(args.served, args.work, 1, rates, args.connections);
    let deadline = Duration::from_millis(args.deadline_ms.into());
    let lengths = results::surges::Lengths { deadline, connections: args.connections };
    results::surges::run(&plan, lengths).map(drop)
}

fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let stamp = Stamp::read();
    let mut all = results::read(&args.results)?;
    all.extend(criterion::collect(&args.criterion, &stamp)?);
    all.extend(orchestrate::results(&orchestrate::read_runs(&args.work)?, &stamp));
    if let Some(curves) = results::curves::read(&args.work)? {
        all.extend(results::curves::results(&curves));
        results::curves::draw(&curves, &args.curves)?;
    }
    all.extend(restart::results(&args.work, &stamp)?);
    all.extend(settle::results(&args.work, &stamp)?);
    all.extend(translog::results(&args.work, &stamp)?);
    if let Some(surges) = results::surges::read(&args.work)? {
        all.extend(results::surges::results(&surges));
    }
    if let Some(path) = &args.windows {
        all.extend(results::windows::read(path, &stamp)?);
        results::windows::beside_features(&mut all);
    }
    results::write(&args.results, &all)?;
    eprintln!("interdict-bench: {} figures in {}", all.len(), args.results.display());
    Ok(())
}
