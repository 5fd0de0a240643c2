//! The prompt: line editing, history and completion around a session.

use crate::monitor::catalogue::Catalogue;
use crate::monitor::complete::complete;
use crate::monitor::{Outcome, Session};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler,
    Helper, KeyEvent, Movement, RepeatCount,
};
use serde_json::json;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Lines that the history keeps.
const HISTORY_LINES: usize = 1000;

/// What leaving the prompt with Ctrl-C or Ctrl-D on an empty line leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The monitor: the program goes on.
    Monitor,
    /// The program: the prompt is that of its own terminal.
    Program,
}

/// Reads and executes lines until the person leaves; false when the server went first.
pub fn run(session: &mut Session, leave: Leave) -> bool {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true);
    let config = config.max_history_size(HISTORY_LINES).map(|c| c.build());
    let mut editor = match config.and_then(Editor::<Asking<'_>, FileHistory>::with_config) {
        Ok(editor) => editor,
        Err(e) => {
            eprintln!("imsbox: no line editing: {e}");
            return false;
        }
    };
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearLine)));
    let history = history_file();
    if let Some(file) = &history {
        // the first time there is none
        let _ = editor.load_history(file);
    }
    let catalogue = session.catalogue().clone();
    let session = RefCell::new(session);
    editor.set_helper(Some(Asking { catalogue, session: &session }));
    read_lines(&mut editor, &session, leave, history.as_deref())
}

fn read_lines(
    editor: &mut Editor<Asking<'_>, FileHistory>,
    session: &RefCell<&mut Session>,
    leave: Leave,
    history: Option<&Path>,
) -> bool {
    // a history that cannot be kept is no reason to complain
    let _ = history.and_then(Path::parent).map(std::fs::create_dir_all);
    loop {
        let line = match editor.readline("(ims) ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) if leave == Leave::Program => {
                "quit".to_owned()
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return true,
            Err(e) => {
                eprintln!("imsbox: {e}");
                return false;
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        // before the line is executed: after `quit` the program may be gone
        let _ = history.map(|file| editor.append_history(file));
        match session.borrow_mut().execute(&line) {
            Outcome::Done | Outcome::Failed => {}
            Outcome::Ended => return true,
            Outcome::Lost => return false,
        }
    }
}

/// `$XDG_STATE_HOME/imsbox/history`, by default below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("imsbox/history"))
}

/// Ctrl-C takes back what has been typed; on an empty line it leaves.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Completes from the catalogue, and from the server where the catalogue does not do.
struct Asking<'a> {
    catalogue: Catalogue,
    session: &'a RefCell<&'a mut Session>,
}

impl Completer for Asking<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let mut dialogs = || {
            let answer = self.session.borrow_mut().ask_quietly(&json!({ "message": "dialog_get" }));
            let dialogs = answer.as_ref().and_then(|a| a["dialogs"].as_array());
            dialogs.into_iter().flatten().filter_map(|d| d["index"].as_u64()).map(|i| i.to_string()).collect()
        };
        Ok(complete(&self.catalogue, &line[..pos], &mut dialogs))
    }
}

impl Hinter for Asking<'_> {
    type Hint = String;
}
impl Highlighter for Asking<'_> {}
impl Validator for Asking<'_> {}
impl Helper for Asking<'_> {}
