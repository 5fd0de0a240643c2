//! `log`: where the log goes, what each layer logs, and what was lost.

use super::text;
use crate::monitor::look::{Look, Tone, table};
use serde_json::Value;

/// The text for an answer to `log`.
pub(super) fn render(answer: &Value, look: &Look) -> String {
    let mut out = match answer["file"].is_string() {
        true => format!("Log file  {}\n", text(answer, "file")),
        false => look.paint(Tone::Dim, "No log file: log_filename is not set") + "\n",
    };
    out += &format!("Options   {}\n", text(answer, "options"));
    for (member, what) in
        [("dropped", "dropped, the queue was full"), ("failed", "lost, they could not be written")]
    {
        if let Some(lines) = answer[member].as_u64().filter(|n| *n > 0) {
            let plural = if lines == 1 { "" } else { "s" };
            out += &look.paint(Tone::Bad, &format!("          {lines} line{plural} {what}"));
            out.push('\n');
        }
    }
    if answer["last_error"].is_string() {
        out += &format!("Error     {}\n", look.paint(Tone::Bad, &text(answer, "last_error")));
    }
    out + "\n" + &layers(&answer["logs"]["layers"], look)
}

fn layers(layers: &Value, look: &Look) -> String {
    let Some(layers) = layers.as_object() else { return String::new() };
    let rows: Vec<_> = layers
        .iter()
        .map(|(name, layer)| {
            let extras = ["payload", "key", "crypto", "verbose"].into_iter().filter(|s| layer[*s] == true);
            let level = text(layer, "level").into_owned();
            let size = match layer["max_size"].as_i64() {
                Some(-1) | None => "all".to_owned(),
                Some(n) => n.to_string(),
            };
            let tone = (level == "none").then_some(Tone::Dim);
            (tone, vec![name.clone(), level, size, extras.collect::<Vec<_>>().join(", ")])
        })
        .collect();
    table(look, &["LAYER", "LEVEL", "MAX_SIZE", "ALSO"], &[false, false, true, false], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cx::LogStatus;
    use crate::api::log_options::LogConfig;
    use crate::api::snapshot::log_state;

    #[test]
    fn the_state_of_the_log_is_shown_by_layer() {
        let (config, _) =
            LogConfig::parse("sip.level=debug,sip.max_size=-1,rx.payload=1,cx.level=none").unwrap();
        let status = LogStatus { file: Some("/tmp/ims.log".into()), dropped: 3, ..LogStatus::default() };
        let text = render(&log_state(&config, &status), &Look::plain());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Log file  /tmp/ims.log");
        assert!(lines[1].starts_with("Options   all.level=error,sip.level=debug,cx.level=none,"));
        assert_eq!(lines[2], "          3 lines dropped, the queue was full");
        assert_eq!(lines[4], "LAYER  LEVEL  MAX_SIZE  ALSO");
        assert_eq!(lines[6], "sip    debug       all");
        assert_eq!(lines[8], "rx     error        32  payload");
    }

    #[test]
    fn a_missing_file_is_said() {
        let text = render(&log_state(&LogConfig::default(), &LogStatus::default()), &Look::plain());
        assert!(text.starts_with("No log file"), "{text}");
    }
}
