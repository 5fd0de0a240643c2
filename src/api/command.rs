//! The one command table: every message of the remote API (manual 6) and every command of the monitor (manual 7), with its
//! arguments, help texts and handler.

use crate::api::calls;
use crate::api::cx::ApiCx;
use crate::api::handlers;
use crate::api::sms;
use crate::ims::sms::OrderId;
use serde_json::Value;

/// What carries a command out: it gets the request and returns the members of the response, or what is wrong in words.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// It is answered at once.
    Now(fn(&mut ApiCx<'_>, &Value) -> Result<Value, String>),
    /// It is answered when an order has its outcome.
    Later(fn(&mut ApiCx<'_>, &Value) -> Result<Awaited, String>),
}

/// What the response of a command waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Awaited {
    /// The order that must have its outcome.
    pub order: OrderId,
    /// The members of the response when that is good.
    pub members: Value,
}

/// One message of the API, and the monitor's command for it, if there is one.
#[derive(Debug)]
pub struct Command {
    /// The API's name, `users_get`.
    pub message: &'static str,
    /// The monitor's name, `users`; none when people have no use for it.
    pub command: Option<&'static str>,
    /// The monitor's arguments in order; each is the member of this name in the request.
    pub args: &'static [Arg],
    /// One line of help.
    pub help: &'static str,
    /// The paragraph that `help COMMAND` adds.
    pub details: &'static str,
    /// The handler.
    pub handler: Handler,
}

/// One argument of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Its name, in the help and as a member of the request.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgKind,
    /// Whether it may be left out.
    pub optional: bool,
    /// What completes it.
    pub complete: Complete,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// One word.
    Word,
    /// A whole number.
    Integer,
    /// The rest of the line.
    Rest,
    /// True when it is there: typed as `--` and its name, or as `-` and the first letter of that, in any place.
    Flag,
    /// The same with the word that follows, or a text in quotes.
    Option,
    /// The same with a number that follows.
    Number,
}

impl ArgKind {
    /// The kind as the monitor's client reads it.
    pub const fn name(self) -> &'static str {
        match self {
            ArgKind::Word => "word",
            ArgKind::Integer => "integer",
            ArgKind::Rest => "rest",
            ArgKind::Flag => "flag",
            ArgKind::Option => "option",
            ArgKind::Number => "number",
        }
    }
}

/// What an argument is completed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complete {
    /// Nothing.
    None,
    /// The commands of the monitor.
    Commands,
    /// The dialogs that run.
    Dialogs,
    /// The language of `log_options`.
    LogOptions,
    /// These words.
    Words(&'static [&'static str]),
}

impl Complete {
    /// The source as the monitor's client reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Complete::None => "none",
            Complete::Commands => "commands",
            Complete::Dialogs => "dialogs",
            Complete::LogOptions => "log_options",
            Complete::Words(_) => "words",
        }
    }

    /// The words that it is completed from, where they are fixed.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Complete::Words(words) => words,
            _ => &[],
        }
    }
}

const fn word(name: &'static str, optional: bool, complete: Complete) -> Arg {
    Arg { name, kind: ArgKind::Word, optional, complete }
}

const fn option(name: &'static str, kind: ArgKind, complete: Complete) -> Arg {
    Arg { name, kind, optional: true, complete }
}

const KINDS: Complete = Complete::Words(&["audio", "video", "text"]);
const SWITCH: Complete = Complete::Words(&["on", "off"]);

const fn flag(name: &'static str) -> Arg {
    Arg { name, kind: ArgKind::Flag, optional: true, complete: Complete::None }
}

/// All commands, in the order in which they are listed.
pub const COMMANDS: &[Command] = &[
    Command {
        message: "help",
        command: Some("help"),
        args: &[Arg { name: "command", kind: ArgKind::Word, optional: true, complete: Complete::Commands }],
        help: "Lists the commands, or explains one",
        details: "Without an argument: one line for each command. With one: its arguments and what it does.",
        handler: Handler::Now(handlers::help),
    },
    Command {
        message: "log",
        command: Some("log"),
        args: &[Arg { name: "options", kind: ArgKind::Rest, optional: true, complete: Complete::LogOptions }],
        help: "Shows what is logged, or changes it",
        details: "The options are those of log_options in the configuration file, separated by commas:\n\
                  \x20 sip.level=debug                   none, error, warn, info or debug, for a layer or all\n\
                  \x20 sip.max_size=100                  octets of binary content shown; 0 no content, -1 everything\n\
                  \x20 time=full,time.us=1               sec, short or full; microseconds\n\
                  \x20 file.rotate=now                   rename the file and start a new one\n\
                  \x20 file.rotate=20M, file.rotate=#1M  do so at a size, or after so many records; 0 never\n\
                  \x20 file.path=old                     folder of the renamed files\n\
                  \x20 file=cut                          start the file anew\n\
                  A change lasts until the program ends.",
        handler: Handler::Now(handlers::log),
    },
    Command {
        message: "users_get",
        command: Some("users"),
        args: &[
            Arg { name: "user", kind: ArgKind::Word, optional: true, complete: Complete::None },
            flag("verbose"),
        ],
        help: "Lists the users and their registrations",
        details: "Each user with the contacts that are registered, how they authenticated and when they expire, and the last \
                  thing that went wrong with the registration. With a private or public identity or an IMSI: that user only.\n\
                  \x20 --verbose, -v      the last registration attempt step by step, and where it stopped: why, and what \
                  to do.",
        handler: Handler::Now(handlers::users_get),
    },
    Command {
        message: "ipsec",
        command: Some("ipsec"),
        args: &[flag("keys"), flag("wireshark")],
        help: "Lists the security associations with phones",
        details: "Each set of four with its algorithms, its ports and SPIs (the phone's side left), and what the kernel \
                  counts: packets and octets, packets that came again, packets with a wrong check value (other keys).\n\
                  \x20 --keys, -k         the keys too\n\
                  \x20 --wireshark, -w    Wireshark's table of keys (esp_sa), to read a capture with.",
        handler: Handler::Now(handlers::ipsec),
    },
    Command {
        message: "dialog_get",
        command: Some("dialog"),
        args: &[Arg { name: "dialog", kind: ArgKind::Word, optional: true, complete: Complete::Dialogs }],
        help: "Lists the calls, or draws one as a ladder",
        details: "Each call with its two parties, its state, its media (codec, direction, RTP packets received/sent where they \
                  pass here) and why it ended. A call between users has two sides: server from the caller, client to each phone \
                  that was called. A call stays in the list for 30 s after its end.\n\
                  With an index, a session id or last: that dialog at length, then the whole call message by message, with \
                  seconds since its INVITE. (sdp): with a session description; rel 1: the first reliable answer, and its PRACK (RFC 3262); x2: seen twice.",
        handler: Handler::Now(handlers::dialog_get),
    },
    Command {
        message: "mt_call",
        command: Some("mt_call"),
        args: &[
            word("callee", false, Complete::None),
            word("sdp_file", true, Complete::None),
            word("caller", true, Complete::None),
            option("duration", ArgKind::Number, Complete::None),
            flag("sos"),
        ],
        help: "Calls a user, and sends back what is heard",
        details: "The callee is a private or public identity, or a contact as the command users shows it, or the IMEI of a \
                  phone that can be called back after an emergency call. The media offered are those of sdp_file (- for none), \
                  else those of the property mt_call_sdp_file, the user's or the global one, else voice. The caller is an identity; one of a user of ours is asserted.\n\
                  \x20 --duration, -d N    hang up N seconds after the answer\n\
                  \x20 --sos, -s           to the phone's emergency registration\n\
                  The answer has the dialog's index and its session id.",
        handler: Handler::Now(calls::mt_call),
    },
    Command {
        message: "dialog_set",
        command: Some("dialog_set"),
        args: &[
            word("dialog", false, Complete::Dialogs),
            word("action", false, Complete::Words(calls::ACTIONS)),
            option("code", ArgKind::Number, Complete::None),
            option("reason", ArgKind::Option, Complete::None),
            option("reason_protocol", ArgKind::Option, Complete::Words(&["SIP", "Q.850"])),
            option("media", ArgKind::Option, KINDS),
            option("sdp_file", ArgKind::Option, Complete::None),
            option("rtp", ArgKind::Option, SWITCH),
            option("rtcp", ArgKind::Option, SWITCH),
        ],
        help: "Acts on a call",
        details: "The dialog is its index, its session id, or last. The actions:\n\
                  \x20 stop         ends the call; --code N, --reason TEXT and --reason_protocol say what Reason says\n\
                  \x20 hold         holds the media on our side, or lets them run again; --media only that; echo and mt_call\n\
                  \x20 reinvite     sends a re-INVITE; with the media of --sdp_file\n\
                  \x20 downgrade    gives video up, or the --media named\n\
                  \x20 media        lets --rtp and --rtcp pass (on) or not (off), of all streams and of those that come later, or \
                  of the --media named that run\n\
                  \x20 answer       answers a call to an echo number with remote_control, with --code N (200)\n\
                  \x20 session-expires-stop   refreshes the session no more, and waits for no refresh.",
        handler: Handler::Now(calls::dialog_set),
    },
    Command {
        message: "dialog_stop",
        command: Some("dialog_stop"),
        args: &[Arg { name: "index", kind: ArgKind::Integer, optional: false, complete: Complete::Dialogs }],
        help: "Ends a call",
        details: "The index is the first column of the command dialog. The same as dialog_set with stop.",
        handler: Handler::Now(calls::dialog_stop),
    },
    Command {
        message: "reinvite",
        command: Some("reinvite"),
        args: &[word("dialog", false, Complete::Dialogs), word("sdp_file", true, Complete::None)],
        help: "Sends a re-INVITE in a call",
        details: "The same as dialog_set with reinvite.",
        handler: Handler::Now(calls::reinvite),
    },
    Command {
        message: "dialog_answer",
        command: Some("dialog_answer"),
        args: &[word("dialog", false, Complete::Dialogs), option("code", ArgKind::Number, Complete::None)],
        help: "Answers a call to an echo number that waits for it",
        details: "The same as dialog_set with answer.",
        handler: Handler::Now(calls::dialog_answer),
    },
    Command {
        message: "mme",
        command: Some("mme"),
        args: &[],
        help: "Lists the MMEs that connect for SMS over SGs",
        details: "Each with its name, its address, whether it is connected and for how long, and how many phones are attached through \
                  it. They connect over SCTP to sctp_addr, port 29118.",
        handler: Handler::Now(handlers::mme),
    },
    Command {
        message: "sms",
        command: Some("sms"),
        args: &[
            word("user", false, Complete::None),
            Arg { name: "text", kind: ArgKind::Rest, optional: false, complete: Complete::None },
        ],
        help: "Sends a short message to a user",
        details: "The user is a private or public identity. The text is the rest of the line; a long one goes in parts. The answer \
                  comes when the state file (ue_db_filename), if there is one, has it. It waits until the user's phone takes it, at most sms_expires; the command users shows what waits, and why.",
        handler: Handler::Later(sms::sms),
    },
    Command {
        message: "sms_flush",
        command: Some("sms_flush"),
        args: &[word("user", false, Complete::None)],
        help: "Forgets the short messages that wait for a user",
        details: "The user is a private or public identity. The answer says how many there were.",
        handler: Handler::Now(sms::sms_flush),
    },
    Command {
        message: "user_set",
        command: None,
        args: &[],
        help: "Changes a user",
        details: "impi, and force_sms_over_sg: whether short messages go over SGs only.",
        handler: Handler::Now(sms::user_set),
    },
    Command {
        message: "unregister",
        command: Some("unregister"),
        args: &[
            Arg { name: "uri", kind: ArgKind::Word, optional: false, complete: Complete::None },
            Arg { name: "event", kind: ArgKind::Word, optional: true, complete: Complete::None },
        ],
        help: "Takes a phone's registration away",
        details: "The URI is a contact, as the command users shows it, or an identity of a user, which means all its contacts. \
                  The event tells phones that have subscribed to it why: deactivated (register again at once; the default), \
                  probation (later), rejected (do not try), unregistered or expired. Calls of that phone are ended, except \
                  with expired.",
        handler: Handler::Now(handlers::unregister),
    },
    Command {
        message: "reauthenticate",
        command: Some("reauthenticate"),
        args: &[
            Arg { name: "uri", kind: ArgKind::Word, optional: false, complete: Complete::None },
            Arg { name: "seconds", kind: ArgKind::Integer, optional: true, complete: Complete::None },
        ],
        help: "Asks a phone to authenticate again soon",
        details: "The URI is a contact, as the command users shows it, or an identity of a user, which means all its contacts. \
                  The registration is let end after so many seconds (240 if not given, 10 at least), and a phone that has \
                  subscribed to it is told with event=\"shortened\": it registers again before, at half of the time, and is \
                  challenged. A phone that does not come is no longer registered then.",
        handler: Handler::Now(handlers::reauthenticate),
    },
    Command {
        message: "quit",
        command: Some("quit"),
        args: &[],
        help: "Ends the program",
        details: "Calls are ended and the state is stored first.",
        handler: Handler::Now(handlers::quit),
    },
    Command {
        message: "config_get",
        command: None,
        args: &[],
        help: "Gives the configuration that can be changed while running",
        details: "",
        handler: Handler::Now(handlers::config_get),
    },
    Command {
        message: "config_set",
        command: None,
        args: &[],
        help: "Changes the configuration",
        details: "logs: as config_get gives it; the layer all stands for every layer.",
        handler: Handler::Now(handlers::config_set),
    },
    Command {
        message: "log_set",
        command: None,
        args: &[],
        help: "Adds a line to the log, flushes, rotates or cuts it",
        details: "log with layer and level, and optionally dir (FROM or TO) and ue_id; flush, rotate, cut.",
        handler: Handler::Now(handlers::log_set),
    },
];

/// The entry for an API message.
pub fn by_message(message: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.message == message)
}

/// The entry for a monitor command.
pub fn by_command(command: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.command == Some(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_entry_has_help_and_a_name_of_its_own() {
        let mut messages = HashSet::new();
        let mut commands = HashSet::new();
        for c in COMMANDS {
            assert!(messages.insert(c.message), "{} twice", c.message);
            assert!(c.help.len() > 5 && !c.help.ends_with('.') && c.help.len() < 70, "{}", c.message);
            if let Some(name) = c.command {
                assert!(commands.insert(name), "{name} twice");
                assert!(c.details.ends_with('.'), "{name} has no long help");
            }
        }
        let named = [
            "help",
            "log",
            "users",
            "ipsec",
            "dialog",
            "mt_call",
            "dialog_set",
            "dialog_stop",
            "reinvite",
            "dialog_answer",
            "mme",
            "sms",
            "sms_flush",
            "unregister",
            "reauthenticate",
            "quit",
        ];
        assert!(named.iter().all(|n| by_command(n).is_some()));
    }

    #[test]
    fn only_the_last_argument_takes_the_rest_and_optional_ones_come_last() {
        for c in COMMANDS {
            for pair in c.args.windows(2) {
                assert!(pair[0].kind != ArgKind::Rest, "{}", c.message);
                assert!(!pair[0].optional || pair[1].optional, "{}", c.message);
            }
        }
    }
}
