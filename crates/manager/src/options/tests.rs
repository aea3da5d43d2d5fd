use super::*;

const CONTROLLERS: &[&str] = Family::Chain.controllers();

fn parse(flags: &[&str]) -> Result<Options, clap::Error> {
    let name = std::iter::once("manager");
    Options::parse(name.chain(flags.iter().copied()).map(OsString::from))
}

fn parsed(flags: &[&str]) -> Options {
    parse(flags).unwrap_or_else(|error| panic!("{flags:?}: {error}"))
}

#[test]
fn without_flags_it_behaves_as_the_original() {
    let options = parsed(&[]);
    assert_eq!(options.metrics_address, BindAddress::Any(8080));
    assert_eq!(options.probe_address, BindAddress::Any(8081));
    assert!(!options.leader_elect && !options.dry_run);
    assert_eq!((options.kubeconfig, options.namespace, options.leader_elect_namespace), (None, None, None));
    assert_eq!(options.logging.encoding, Encoding::Console);
    assert_eq!(options.logging.verbosity, Verbosity::INFO);
    assert!(CONTROLLERS.iter().all(|name| options.controllers.has(name)));
    assert_eq!((options.family, options.disruption), (Family::Chain, Disruption::default()));
}

#[test]
fn every_flag_of_the_original_is_taken() {
    let options = parsed(&[
        "--metrics-bind-address=127.0.0.1:8080",
        "--health-probe-bind-address",
        ":9440",
        "--leader-elect",
        "--kubeconfig=/tmp/config",
        "--zap-devel=false",
        "--zap-encoder=console",
        "--zap-log-level=debug",
        "--zap-stacktrace-level=panic",
        "--zap-time-encoding=rfc3339nano",
    ]);
    assert_eq!(options.metrics_address, BindAddress::Host("127.0.0.1:8080".to_owned()));
    assert_eq!(options.probe_address, BindAddress::Any(9440));
    assert!(options.leader_elect);
    assert_eq!(options.kubeconfig, Some("/tmp/config".into()));
    assert_eq!(options.logging.encoding, Encoding::Console);
    assert_eq!(options.logging.verbosity, Verbosity::DEBUG);
}

#[test]
fn switches_are_gos() {
    for yes in
        ["--leader-elect", "-leader-elect", "--leader-elect=true", "-leader-elect=T", "--leader-elect=1"]
    {
        assert!(parsed(&[yes]).leader_elect, "{yes}");
    }
    for no in ["--leader-elect=false", "-leader-elect=0", "--leader-elect=F"] {
        assert!(!parsed(&[no]).leader_elect, "{no}");
    }
    assert!(parse(&["--leader-elect=maybe"]).is_err());
    assert!(parse(&["--leader-elect", "false"]).is_err(), "Go would take this for an argument");
    assert!(parsed(&["--leader-elect=false", "--leader-elect"]).leader_elect, "the last counts");
}

#[test]
fn production_logs_json() {
    assert_eq!(parsed(&["--zap-devel=false"]).logging.encoding, Encoding::Json);
    assert_eq!(parsed(&["--zap-encoder=json"]).logging.encoding, Encoding::Json);
    assert!(parse(&["--zap-encoder=xml"]).is_err());
    assert!(parse(&["--zap-log-level=loud"]).is_err());
    assert!(parse(&["--zap-time-encoding=sundial"]).is_err());
}

#[test]
fn controllers_are_chosen_by_name() {
    let chosen = |list: &str| -> Vec<&str> {
        let options = parsed(&[&format!("--controllers={list}")]);
        CONTROLLERS.iter().copied().filter(|name| options.controllers.has(name)).collect()
    };
    assert_eq!(chosen("plan,MachineImage"), ["machineimage", "plan"]);
    assert_eq!(
        chosen("-plan,*"),
        ["debianrepositorysource", "machineimagesyncer", "machineimage", "clusterclassclusterupgrader"]
    );
    assert_eq!(chosen(" * "), CONTROLLERS);
    assert_eq!(chosen(""), CONTROLLERS);
    assert!(parse(&["--controllers=plans"]).unwrap_err().to_string().contains("debianrepositorysource"));
    assert!(parse(&["--controllers=-plan"]).unwrap_err().to_string().contains("leaves none"));
    assert!(parse(&["--controllers=plan,-plan"]).is_err());
}

#[test]
fn a_dry_run_takes_no_lease() {
    assert!(!parsed(&["--leader-elect", "--dry-run"]).takes_lease());
    assert!(parsed(&["--leader-elect", "--dry-run=false"]).takes_lease());
}

#[test]
fn the_version_is_printed_and_exits_with_zero() {
    for flag in ["--version", "-version"] {
        let shown = parse(&[flag]).unwrap_err();
        assert_eq!(shown.exit_code(), 0);
        assert_eq!(shown.to_string(), format!("manager {VERSION}\n"));
    }
    assert_eq!(parse(&["--help"]).unwrap_err().exit_code(), 0);
    assert_eq!(parse(&["--unknown"]).unwrap_err().exit_code(), 2);
    assert_eq!(parse(&["--metrics-bind-address=8080"]).unwrap_err().exit_code(), 2);
}

fn nodes(flags: &[&str]) -> Result<Options, clap::Error> {
    Options::parse(["manager", "nodes"].into_iter().chain(flags.iter().copied()).map(OsString::from))
}

#[test]
fn without_flags_operations_on_nodes_behave_as_the_original() {
    let options = nodes(&[]).unwrap();
    assert_eq!(options.family, Family::Nodes);
    assert_eq!(options.metrics_address, BindAddress::Disabled);
    assert_eq!(options.probe_address, BindAddress::Any(8081));
    assert!(!options.leader_elect && !options.dry_run);
    assert!(Family::Nodes.controllers().iter().all(|name| options.controllers.has(name)));
    let Disruption { one_control_plane_at_a_time, drain_timeout, reboot_timeout, orderly_reboot_timeout } =
        options.disruption;
    assert!(!one_control_plane_at_a_time);
    assert_eq!((drain_timeout, reboot_timeout), (None, Duration::from_secs(1_800)));
    assert_eq!(orderly_reboot_timeout, Duration::from_secs(300));
}

#[test]
fn every_flag_of_kairos_operator_is_taken() {
    let options = nodes(&[
        "--metrics-bind-address=:8443",
        "-health-probe-bind-address=:9440",
        "--leader-elect",
        "--metrics-secure=false",
        "--webhook-cert-path=/certs",
        "--webhook-cert-name=a.crt",
        "--webhook-cert-key=a.key",
        "--metrics-cert-path",
        "/certs",
        "--metrics-cert-name=b.crt",
        "--metrics-cert-key=b.key",
        "-enable-http2",
        "--tool-image=quay.io/kairos/auroraboot:v0.24.0",
        "--buildah-image=quay.io/buildah/stable:v1.43.1",
        "--kubeconfig=/tmp/config",
        "--zap-devel=false",
        "--zap-log-level=debug",
        "--zap-stacktrace-level=error",
    ])
    .unwrap();
    assert_eq!(options.metrics_address, BindAddress::Any(8443));
    assert_eq!(options.probe_address, BindAddress::Any(9440));
    assert!(options.takes_lease());
    assert_eq!((options.logging.encoding, options.logging.verbosity), (Encoding::Json, Verbosity::DEBUG));
}

/// Whoever asks for encrypted metrics must not learn of their absence later.
#[test]
fn what_has_no_effect_says_so_in_the_help() {
    let help = help(Family::Nodes);
    for flag in ["metrics-secure", "webhook-cert-path", "metrics-cert-key", "enable-http2", "buildah-image"] {
        let line = help.lines().skip_while(|line| !line.contains(&format!("--{flag}"))).take(2);
        let text: String = line.collect::<Vec<_>>().join(" ");
        assert!(text.contains("without effect"), "{flag}: {text}");
    }
    assert!(!super::help(Family::Chain).contains("metrics-secure"), "the chain's flags are the chain's");
}

#[test]
fn the_pace_of_nodes_is_set_by_flags_of_their_own() {
    let pace = |flags: &[&str]| nodes(flags).map(|options| options.disruption);
    let said = pace(&["--one-control-plane-node-at-a-time", "--drain-timeout=1h30m", "-reboot-timeout=90s"])
        .unwrap();
    assert!(said.one_control_plane_at_a_time);
    assert_eq!(said.drain_timeout, Some(Duration::from_secs(5_400)));
    assert_eq!(said.reboot_timeout, Duration::from_secs(90));
    let said = pace(&["--orderly-reboot-timeout=20m"]).unwrap();
    assert_eq!(said.orderly_reboot_timeout, Duration::from_secs(1_200));
    assert_eq!(pace(&["--orderly-reboot-timeout=0"]).unwrap_err().exit_code(), 2);
    assert_eq!(pace(&["--drain-timeout=0"]).unwrap().drain_timeout, None);
    assert_eq!(pace(&["--drain-timeout=0s"]).unwrap().drain_timeout, None);
    for wrong in ["--drain-timeout=30", "--drain-timeout=-1m", "--drain-timeout=soon", "--reboot-timeout=0"] {
        assert_eq!(pace(&[wrong]).unwrap_err().exit_code(), 2, "{wrong}");
    }
    assert!(parse(&["--drain-timeout=30m"]).is_err(), "the chain drains nothing");
}

#[test]
fn each_family_has_its_controllers() {
    let options = nodes(&["--controllers=NodeOp,nodelabeler"]).unwrap();
    assert!(options.controllers.has("nodeop") && !options.controllers.has("nodeopupgrade"));
    let error = nodes(&["--controllers=plan"]).unwrap_err().to_string();
    assert!(error.contains("nodeop, nodeopupgrade, nodelabeler"), "{error}");
    assert!(parse(&["--controllers=nodeop"]).is_err());
    assert!(nodes(&["nodes"]).is_err() && parse(&["--leader-elect", "nodes"]).is_err());
}

#[test]
fn operations_on_nodes_name_themselves() {
    let shown = nodes(&["--version"]).unwrap_err();
    assert_eq!((shown.exit_code(), shown.to_string()), (0, format!("manager nodes {VERSION}\n")));
    assert!(help(Family::Nodes).contains("Usage: manager nodes ["));
    assert!(help(Family::Chain).contains("Usage: manager ["));
}
