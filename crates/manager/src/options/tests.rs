use super::*;

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
        CONTROLLERS.into_iter().filter(|name| options.controllers.has(name)).collect()
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
