//! The prompt: a thread that reads lines, and a printer that does not disturb them.

use super::Input;
use crate::{command, words};
use platform::terminal::SavedTerminal;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use std::os::fd::AsFd as _;
use std::sync::mpsc::Sender;
use std::thread;

/// What is written for a person.
pub struct Printer {
    beside_prompt: Option<Box<dyn ExternalPrinter + Send>>,
    /// The terminal's modes, put back at the end.
    saved: Option<SavedTerminal>,
}

impl Printer {
    /// One that writes to the standard output.
    pub fn plain() -> Printer {
        Printer { beside_prompt: None, saved: None }
    }

    /// The person leaves: what is still to be said needs no prompt.
    pub fn leave(&mut self) {
        self.beside_prompt = None;
        self.saved = None;
    }

    /// Writes lines.
    pub fn say(&mut self, text: &str) {
        let text = words::safe(text) + "\n";
        match &mut self.beside_prompt {
            // when the editor has gone there is nobody to read
            Some(printer) => _ = printer.print(text),
            None => _ = crate::say(&text),
        }
    }
}

/// Begins to read lines; the printer writes above the line that is being typed.
pub fn start(inputs: Sender<Input>) -> Result<Printer, String> {
    let saved = SavedTerminal::save(std::io::stdin().as_fd()).ok();
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor = Editor::<Words, DefaultHistory>::with_config(config).map_err(|e| e.to_string())?;
    editor.set_helper(Some(Words));
    // a terminal that cannot do so (TERM=dumb) has what is said wherever the cursor is
    let printer = editor.create_external_printer().ok();
    thread::spawn(move || {
        loop {
            let input = match editor.readline("(ue) ") {
                Ok(line) => Input::Line(line),
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => Input::Left,
                Err(e) => {
                    eprintln!("imsbox-ue: {e}");
                    Input::Left
                }
            };
            let has_left = match &input {
                Input::Line(line) => matches!(line.trim(), "quit" | "exit"),
                _ => true,
            };
            if inputs.send(input).is_err() || has_left {
                return;
            }
        }
    });
    Ok(Printer { beside_prompt: printer.map(|printer| Box::new(printer) as _), saved })
}

/// Completes the first word, and the second one where it is one of a few.
struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..pos].rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let typed = &line[start..pos];
        let words = match line[..start].trim() {
            "" => command::VERBS.to_vec(),
            verb => command::words_after(verb),
        };
        let words = words.iter().filter(|word| word.starts_with(typed));
        Ok((start, words.map(|word| format!("{word} ")).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
