//! Which values the settings take, from which source, and what their errors say.

use super::*;
use crate::config::table::Setting;

fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let matches = clap::Command::new("onsale")
        .args(Config::flags())
        .try_get_matches_from(core::iter::once("onsale").chain(arguments.iter().copied()))
        .unwrap();
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
    Config::load(&matches, environment)
}

/// Loads with a settings file of this text.
fn with_file(text: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("onsale.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let arguments = [&["--config", path], arguments].concat();
    load(&arguments, environment).map_err(|errors| errors.to_string().replace(path, "F"))
}

fn refused(environment: &[(&str, &str)]) -> String {
    load(&[], environment).unwrap_err().to_string()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config, Config::defaults());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.data_dir, PathBuf::from("./data"));
    assert_eq!(config.limits.rate_limit, value::rate_limit("20").unwrap());
    assert_eq!(config.journal.retain, Retain::Seconds(7 * 86_400));
    assert_eq!(config.journal.reserve_bytes, 64 << 20);
    assert_eq!(config.limits.body_bytes_max, 64 << 10);
    assert_eq!(config.limits.large_body_bytes_max, 16 << 20);
    assert!(!config.payments.self_charge);
    assert_eq!(config.auth.jwt_secret, None);
    assert_eq!(config.auth.admin_token, None);
}

#[test]
fn every_variable_of_the_contract_is_a_setting() {
    let variables = [
        "ONSALE_LISTEN",
        "ONSALE_DATA_DIR",
        "ONSALE_JWT_SECRET",
        "ONSALE_JWKS_FILE",
        "ONSALE_ADMIN_TOKEN",
        "ONSALE_METRICS_LISTEN",
        "ONSALE_RATE_LIMIT",
        "ONSALE_TOSS_URL",
        "ONSALE_TOSS_SECRET",
        "ONSALE_SELF_CHARGE",
        "ONSALE_CORS_ORIGINS",
        "ONSALE_TRUSTED_PROXIES",
    ];
    for variable in variables {
        assert!(SETTINGS.iter().any(|setting| setting.variable() == variable), "{variable}");
    }
}

#[test]
fn a_clock_is_accepted_by_a_date_and_limited_by_a_time() {
    let config = load(&["--clock-accept", "2027-01-31"], &[("ONSALE_CLOCK_AHEAD_MAX", "off")]).unwrap();
    assert_eq!(config.clock.accept.unwrap().as_millis(), 1_801_353_600_000);
    assert_eq!(config.clock.ahead_max, None);
    assert_eq!(Config::defaults().clock, ClockConfig { ahead_max: Some(7 * 86_400), accept: None });
    for wrong in ["yes", "2027-02-31", "2027-01-31T00:00:00Z", "31.1.2027"] {
        assert!(refused(&[("ONSALE_CLOCK_ACCEPT", wrong)]).contains("must be a date such as"), "{wrong}");
    }
}

#[test]
fn variables_of_services_are_ignored_and_mistyped_settings_are_not() {
    let services = [
        ("ONSALE_SERVICE_HOST", "10.96.0.17"),
        ("ONSALE_SERVICE_PORT", "80"),
        ("ONSALE_SERVICE_PORT_HTTP", "80"),
        ("ONSALE_PORT", "tcp://10.96.0.17:80"),
        ("ONSALE_PORT_80_TCP", "tcp://10.96.0.17:80"),
        ("ONSALE_PORT_80_TCP_PROTO", "tcp"),
        ("ONSALE_PORT_80_TCP_PORT", "80"),
        ("ONSALE_PORT_80_TCP_ADDR", "fd00::17"),
        ("ONSALE_METRICS_SERVICE_HOST", "10.96.0.18"),
        ("ONSALE_METRICS_PORT_9100_UDP", "udp://10.96.0.18:9100"),
    ];
    assert_eq!(load(&[], &services).unwrap(), Config::defaults());
    for (name, text) in [
        ("ONSALE_PORT", "8080"),
        ("ONSALE_SERVICE_HOST", "tickets"),
        ("ONSALE_LISTEN_PORT", "8080"),
        ("ONSALE_PORT_HTTP_TCP", "tcp://10.96.0.17:80"),
        ("ONSALE_PORT_80_TCP_NAME", "tcp"),
    ] {
        assert!(refused(&[(name, text)]).contains("there is no such setting"), "{name}={text}");
    }
    // A setting of that shape would be taken from a service.
    for setting in SETTINGS {
        let name = setting.variable();
        let texts = ["10.0.0.1", "80", "tcp://10.0.0.1:80"];
        assert!(!texts.iter().any(|text| is_service_variable(&name, text)), "{name}");
    }
}

#[test]
fn names_are_unique_and_secrets_have_no_default() {
    for (index, setting) in SETTINGS.iter().enumerate() {
        assert!(!setting.secret || setting.default.is_empty(), "{}", setting.key);
        assert!(!setting.help.is_empty() && !setting.unit.is_empty());
        for other in &SETTINGS[..index] {
            assert_ne!(setting.key, other.key);
            assert_ne!(setting.variable(), other.variable());
            assert_ne!(setting.flag(), other.flag());
        }
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "drain_seconds = 1\n[journal]\nretain = \"1d\"\nqueue_len_max = 5\n[log]\nformat = \"json\"";
    let environment = [("ONSALE_JOURNAL_RETAIN", "2d"), ("ONSALE_JOURNAL_QUEUE_LEN_MAX", "6")];
    let config = with_file(file, &["--journal-retain", "3d"], &environment).unwrap();
    assert_eq!(config.journal.retain, Retain::Seconds(3 * 86_400));
    assert_eq!(config.journal.queue_len_max, 6);
    assert_eq!(config.server.drain_seconds, 1);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.source("journal.retain"), &Source::Flag("journal-retain".into()));
    assert_eq!(config.source("listen"), &Source::Default);
}

#[test]
fn a_file_may_write_lists_numbers_and_switches_as_toml_does() {
    let file = "self_charge = true\nworker_threads = 2\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\ncors_origins = [\"https://A.example\"]";
    let config = with_file(file, &[], &[]).unwrap();
    assert!(config.payments.self_charge);
    assert_eq!(config.server.worker_threads, Some(2));
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.cors_origins, ["https://a.example"]);
}

#[test]
fn all_errors_are_told_at_once_each_with_its_setting_source_and_what_is_allowed() {
    let text = with_file(
        "listne = \"x\"\nlimits = { connections_max = 0 }\nlisten = 1.5",
        &["--rate-limit", "many"],
        &[("ONSALE_JOURNAL_RETAIN", "soon"), ("ONSALE_RATELIMIT", "5"), ("ONSALE_ZZZZZZZZZZZZZ", "5")],
    )
    .unwrap_err();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "ONSALE_RATELIMIT (environment ONSALE_RATELIMIT): there is no such setting; did you mean ONSALE_RATE_LIMIT?",
            "ONSALE_ZZZZZZZZZZZZZ (environment ONSALE_ZZZZZZZZZZZZZ): there is no such setting",
            "journal.retain (environment ONSALE_JOURNAL_RETAIN): must be snapshot, forever, or a time such as 90m, 36h, 7d or 4w (up to 100 years)",
            "limits.connections_max (file F): must be a whole number from 1 to 1000000",
            "listen (file F): must be a text, a whole number, true or false, or a list of texts",
            "listne (file F): there is no such setting; did you mean listen?",
            "rate_limit (flag --rate-limit): must be a whole number from 1 to 1000000, or off",
        ]
    );
}

#[test]
fn impossible_values_are_refused() {
    for (name, wrong) in [
        ("LISTEN", "localhost"),
        ("LISTEN", ""),
        ("LISTEN", "127.0.0.1:99999"),
        ("RATE_LIMIT", "0"),
        ("RATE_LIMIT", "-1"),
        ("JWT_SECRET", "short"),
        ("JWT_SECRET", &SECRET[1..]),
        ("ADMIN_TOKEN", "short"),
        ("JOURNAL_RETAIN", "7"),
        ("JOURNAL_RETAIN", "0d"),
        ("JOURNAL_RETAIN", "7 é"),
        ("JOURNAL_RETAIN", "99999999999999999999d"),
        ("LIMITS_MAILBOX_LEN_MAX", "0"),
        ("LIMITS_BODY_BYTES_MAX", "0"),
        ("LIMITS_BODY_BYTES_MAX", "1GiB"),
        ("LIMITS_REQUEST_TIMEOUT_SECONDS", "0"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "proxy"),
        ("TOSS_URL", "ftp://x"),
        ("SELF_CHARGE", "yes"),
        ("LOG_FORMAT", "xml"),
        ("WORKER_THREADS", "0"),
    ] {
        let variable = format!("ONSALE_{name}");
        let text = refused(&[(&variable, wrong)]);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(&variable) && text.contains("must"), "{text}");
        assert!(name != "JWT_SECRET" || !text.contains(wrong), "{text}");
    }
}

#[test]
fn an_empty_variable_is_unset_where_a_setting_may_be() {
    let config = load(&[], &[("ONSALE_JWT_SECRET", ""), ("ONSALE_CORS_ORIGINS", "")]).unwrap();
    assert_eq!(config.auth.jwt_secret, None);
    assert!(config.server.cors_origins.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_or_is_not_toml_is_refused_without_showing_its_lines() {
    let text = load(&["--config", "/nowhere/x.toml"], &[]).unwrap_err().to_string();
    assert!(text.starts_with("the settings file /nowhere/x.toml: "), "{text}");
    let text = with_file("drain_seconds = 1\njwt_secret = \"hush", &[], &[]).unwrap_err();
    assert!(text.contains("line 2") && !text.contains("hush"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_start_without_a_way_to_check_tokens_says_what_to_set() {
    let config = Config::defaults();
    let text = config.require_tokens().unwrap_err().to_string();
    for part in ["ONSALE_JWT_SECRET", "ONSALE_JWKS_FILE", "openssl rand", "--demo"] {
        assert!(text.contains(part), "{text}");
    }
    for variable in ["ONSALE_JWT_SECRET", "ONSALE_JWKS_FILE"] {
        let config = load(&[], &[(variable, SECRET)]).unwrap();
        assert_eq!(config.require_tokens(), Ok(()));
    }
}

#[test]
fn what_is_printed_shows_every_setting_and_no_secret_and_can_be_read_back() {
    let admin_token = "an administrator's".replace(' ', "-").repeat(2);
    let environment = [
        ("ONSALE_JWT_SECRET", SECRET),
        ("ONSALE_ADMIN_TOKEN", admin_token.as_str()),
        ("ONSALE_LISTEN", "[::1]:80"),
        ("ONSALE_JOURNAL_RETAIN", "forever"),
    ];
    let mut config = load(&[], &environment).unwrap();
    let printed = config.print();
    for setting in SETTINGS {
        assert!(printed.contains(&setting.variable()) && printed.contains(setting.help));
    }
    assert!(printed.contains("listen = \"[::1]:80\""), "{printed}");
    assert!(printed.contains("from: environment ONSALE_LISTEN"));
    assert!(printed.contains("# jwt_secret = <set>") && printed.contains("# toss.secret").eq(&false));
    assert!(printed.contains("# secret = <unset>"));
    for text in [printed.clone(), format!("{config:?}")] {
        assert!(!text.contains(SECRET) && !text.contains(&admin_token), "{text}");
    }
    let again = with_file(&printed, &[], &[]).unwrap();
    config.auth.jwt_secret = None;
    config.auth.admin_token = None;
    assert_eq!((again.server, again.auth, again.journal), (config.server, config.auth, config.journal));
}

#[test]
fn the_page_for_operators_names_every_setting_as_the_table_has_it() {
    let page = include_str!("../../docs/OPERATIONS.md");
    let rows =
        page.lines().skip_while(|line| *line != "| setting | variable | form | default | what it does |");
    let rows: Vec<&str> = rows.skip(2).take_while(|line| line.starts_with('|')).collect();

    let row = |setting: &Setting| {
        let Setting { key, unit, default, help, .. } = setting;
        let default = if default.is_empty() { "unset".to_owned() } else { format!("`{default}`") };
        format!("| `{key}` | `{}` | {unit} | {default} | {help} |", setting.variable())
    };
    let (inside, outside): (Vec<&Setting>, Vec<&Setting>) =
        SETTINGS.iter().partition(|setting| setting.key.contains('.'));
    let expected: Vec<String> = outside.into_iter().chain(inside).map(row).collect();
    assert_eq!(rows, expected);
}

#[test]
fn demo_secrets_are_made_once_and_only_their_owner_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let secrets = demo_secrets(&data_dir).unwrap();
    assert_eq!(demo_secrets(&data_dir).unwrap(), secrets);
    let other = demo_secrets(&directory.path().join("other")).unwrap();
    assert_ne!(other.jwt_secret, secrets.jwt_secret);
    assert_ne!(secrets.jwt_secret, secrets.admin_token);
    let path = data_dir.join("demo-secrets.toml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let shown = format!("{secrets:?}");
    assert!(!shown.contains(secrets.jwt_secret.expose()), "{shown}");
    std::fs::write(&path, "jwt_secret = 1").unwrap();
    assert!(matches!(demo_secrets(&data_dir), Err(DemoError::Damaged { .. })));
}

#[test]
fn a_demonstration_fills_in_only_what_was_not_said() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = demo_secrets(directory.path()).unwrap();
    let mut config = Config::defaults();
    config.apply_demo(&secrets);
    assert_eq!(config.auth.jwt_secret, Some(secrets.jwt_secret.clone()));
    assert!(config.payments.self_charge);
    assert_eq!(config.source("jwt_secret"), &Source::Demo);
    assert!(!config.print().contains(secrets.jwt_secret.expose()));
    let said = [("ONSALE_JWT_SECRET", SECRET), ("ONSALE_SELF_CHARGE", "off")];
    let mut config = load(&[], &said).unwrap();
    config.apply_demo(&secrets);
    assert_eq!(config.auth.jwt_secret, Some(Secret::new(SECRET)));
    assert_eq!(config.auth.admin_token, Some(secrets.admin_token));
    assert!(!config.payments.self_charge);
}

#[test]
fn a_range_holds_its_addresses_and_no_others() {
    let range = AddressRange::list_of("10.1.0.0/16, 2001:db8::/32, 0.0.0.0/0").unwrap();
    let holds = |index: usize, text: &str| range[index].contains(text.parse().unwrap());
    assert!(holds(0, "10.1.255.255") && holds(0, "::ffff:10.1.2.3") && !holds(0, "10.2.0.0"));
    assert!(holds(1, "2001:db8:ffff::1") && !holds(1, "2001:db9::") && !holds(1, "10.1.0.0"));
    assert!(holds(2, "255.0.0.1") && !holds(2, "2001:db8::"));
    let vast = |text: &str| AddressRange::list_of(text).unwrap()[0].is_vast();
    assert!(["0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3"].into_iter().all(vast));
    assert!(!["10.0.0.0/8", "fc00::/7", "192.0.2.1", "::1"].into_iter().any(vast));
}

#[test]
fn a_setting_is_found_by_its_name() {
    assert_eq!(
        Setting::find("journal.retain").map(Setting::variable).as_deref(),
        Some("ONSALE_JOURNAL_RETAIN")
    );
    assert!(Setting::find("journal").is_none());
}
