//! POSIX extended regular expressions (POSIX.1-2017, XBD 9.4) over octets: whether a text matches, in time linear in it.
//!
//! An expression becomes a program of a bounded number of states, run over the text with all its alternatives at once
//! (Thompson). Alternation, groups, `*`, `+`, `?`, intervals up to 255, `.`, bracket expressions with ranges and character
//! classes, anchors and escapes are known; back-references, which extended expressions have not, and collating elements
//! are not.

use std::fmt;

/// Most states of a program: an expression that needs more is refused.
pub const MAX_STATES: usize = 4096;
/// Deepest nesting of groups.
const MAX_DEPTH: usize = 64;
/// Greatest number in an interval (RE_DUP_MAX).
const MAX_REPEAT: u32 = 255;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Ere {
    states: Vec<State>,
}

/// What is wrong with an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EreError {
    /// A `(` without `)`, or a `)` without `(`.
    Parenthesis,
    /// A `[` without `]`, an unknown class, or a range the wrong way round.
    Bracket,
    /// An interval that is no `{m}`, `{m,}` or `{m,n}` with m ≤ n ≤ 255.
    Interval,
    /// `*`, `+`, `?` or `{` with nothing before it.
    NothingToRepeat,
    /// A backslash at the end.
    TrailingBackslash,
    /// More than [`MAX_STATES`] states, or groups nested too deeply.
    TooLarge,
}

impl fmt::Display for EreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EreError::Parenthesis => "unbalanced parenthesis",
            EreError::Bracket => "malformed bracket expression",
            EreError::Interval => "malformed interval",
            EreError::NothingToRepeat => "nothing to repeat",
            EreError::TrailingBackslash => "backslash at the end",
            EreError::TooLarge => "expression too large",
        })
    }
}

impl std::error::Error for EreError {}

/// A set of octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Set([u64; 4]);

impl Set {
    const EMPTY: Set = Set([0; 4]);

    fn add(&mut self, octet: u8) {
        self.0[usize::from(octet >> 6)] |= 1 << (octet & 63);
    }

    fn has(&self, octet: u8) -> bool {
        self.0[usize::from(octet >> 6)] & 1 << (octet & 63) != 0
    }

    fn complement(self) -> Set {
        Set(self.0.map(|word| !word))
    }
}

#[derive(Clone, Debug)]
enum State {
    /// Takes one octet of the set and goes to the next state.
    One(Set),
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
    Start,
    End,
    Match,
}

#[derive(Clone, Debug)]
enum Node {
    Empty,
    One(Set),
    Start,
    End,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

impl Ere {
    /// Compiles an expression.
    pub fn new(expression: &str) -> Result<Ere, EreError> {
        let mut parser = Parser { rest: expression.as_bytes(), depth: 0 };
        let node = parser.alternatives()?;
        if !parser.rest.is_empty() {
            return Err(EreError::Parenthesis);
        }
        let mut program = Program { states: Vec::new(), steps: 0 };
        program.compile(&node)?;
        program.push(State::Match)?;
        Ok(Ere { states: program.states })
    }

    /// Whether the expression matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut run = Run { active: Vec::new(), seen: vec![usize::MAX; self.states.len()], matched: false };
        let mut next = Vec::new();
        for (at, &octet) in text.iter().enumerate() {
            self.follow(&mut run, 0, at, text.len());
            if run.matched {
                return true;
            }
            std::mem::swap(&mut run.active, &mut next);
            run.active.clear();
            for state in next.drain(..) {
                if let State::One(set) = &self.states[state]
                    && set.has(octet)
                {
                    self.follow(&mut run, state + 1, at + 1, text.len());
                }
            }
            if run.matched {
                return true;
            }
        }
        self.follow(&mut run, 0, text.len(), text.len());
        run.matched
    }

    /// Activates the states reached from `state` at position `at` without taking an octet.
    fn follow(&self, run: &mut Run, state: usize, at: usize, len: usize) {
        let mut pending = vec![state];
        while let Some(state) = pending.pop() {
            if run.seen[state] == at {
                continue;
            }
            run.seen[state] = at;
            match self.states[state] {
                State::One(_) => run.active.push(state),
                State::Split(a, b) => pending.extend([b, a]),
                State::Jump(to) => pending.push(to),
                State::Start if at == 0 => pending.push(state + 1),
                State::End if at == len => pending.push(state + 1),
                State::Start | State::End => {}
                State::Match => run.matched = true,
            }
        }
    }
}

/// A program that is being compiled.
struct Program {
    states: Vec<State>,
    /// Nodes compiled so far: repeated empty groups make steps without making states.
    steps: usize,
}

impl Program {
    fn push(&mut self, state: State) -> Result<usize, EreError> {
        if self.states.len() >= MAX_STATES {
            return Err(EreError::TooLarge);
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    fn compile(&mut self, node: &Node) -> Result<(), EreError> {
        self.steps += 1;
        if self.steps > 4 * MAX_STATES {
            return Err(EreError::TooLarge);
        }
        match node {
            Node::Empty => {}
            Node::One(set) => {
                self.push(State::One(*set))?;
            }
            Node::Start => {
                self.push(State::Start)?;
            }
            Node::End => {
                self.push(State::End)?;
            }
            Node::Sequence(parts) => parts.iter().try_for_each(|part| self.compile(part))?,
            Node::Either(branches) => self.either(branches)?,
            Node::Repeat(inner, min, max) => self.repeat(inner, *min, *max)?,
        }
        Ok(())
    }

    fn either(&mut self, branches: &[Node]) -> Result<(), EreError> {
        let mut ends = Vec::new();
        for (i, branch) in branches.iter().enumerate() {
            if i + 1 == branches.len() {
                self.compile(branch)?;
                break;
            }
            let split = self.push(State::Split(0, 0))?;
            self.compile(branch)?;
            ends.push(self.push(State::Jump(0))?);
            self.states[split] = State::Split(split + 1, self.states.len());
        }
        let end = self.states.len();
        ends.into_iter().for_each(|jump| self.states[jump] = State::Jump(end));
        Ok(())
    }

    fn repeat(&mut self, inner: &Node, min: u32, max: Option<u32>) -> Result<(), EreError> {
        for _ in 0..min {
            self.compile(inner)?;
        }
        match max {
            None => {
                let split = self.push(State::Split(0, 0))?;
                self.compile(inner)?;
                self.push(State::Jump(split))?;
                self.states[split] = State::Split(split + 1, self.states.len());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in min..max {
                    splits.push(self.push(State::Split(0, 0))?);
                    self.compile(inner)?;
                }
                let end = self.states.len();
                splits.into_iter().for_each(|split| self.states[split] = State::Split(split + 1, end));
            }
        }
        Ok(())
    }
}

/// One run over a text.
struct Run {
    active: Vec<usize>,
    /// For each state, the last position at which it was reached.
    seen: Vec<usize>,
    matched: bool,
}

struct Parser<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, octet: u8) -> bool {
        let taken = self.rest.first() == Some(&octet);
        self.rest = &self.rest[usize::from(taken)..];
        taken
    }

    fn alternatives(&mut self) -> Result<Node, EreError> {
        let mut branches = vec![self.sequence()?];
        while self.take(b'|') {
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Either(branches) })
    }

    fn sequence(&mut self) -> Result<Node, EreError> {
        let mut parts = Vec::new();
        while let Some(&octet) = self.rest.first() {
            if matches!(octet, b'|' | b')') {
                break;
            }
            let mut part = self.atom()?;
            while let Some((min, max)) = self.repetition()? {
                part = Node::Repeat(Box::new(part), min, max);
            }
            parts.push(part);
        }
        Ok(if parts.is_empty() { Node::Empty } else { Node::Sequence(parts) })
    }

    fn atom(&mut self) -> Result<Node, EreError> {
        let (first, rest) = self.rest.split_first().expect("the caller saw an octet");
        self.rest = rest;
        Ok(match first {
            b'(' => self.group()?,
            b'[' => Node::One(self.bracket()?),
            b'.' => Node::One(Set::EMPTY.complement()),
            b'^' => Node::Start,
            b'$' => Node::End,
            b'*' | b'+' | b'?' | b'{' => return Err(EreError::NothingToRepeat),
            b'\\' => {
                let (escaped, rest) = self.rest.split_first().ok_or(EreError::TrailingBackslash)?;
                self.rest = rest;
                Node::One(single(*escaped))
            }
            literal => Node::One(single(*literal)),
        })
    }

    fn group(&mut self) -> Result<Node, EreError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(EreError::TooLarge);
        }
        let inner = self.alternatives()?;
        self.depth -= 1;
        if self.take(b')') { Ok(inner) } else { Err(EreError::Parenthesis) }
    }

    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, EreError> {
        let times = match self.rest.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.interval().map(Some),
            _ => return Ok(None),
        };
        self.rest = &self.rest[1..];
        Ok(Some(times))
    }

    fn interval(&mut self) -> Result<(u32, Option<u32>), EreError> {
        let end = self.rest.iter().position(|o| *o == b'}').ok_or(EreError::Interval)?;
        let text = std::str::from_utf8(&self.rest[1..end]).map_err(|_| EreError::Interval)?;
        self.rest = &self.rest[end + 1..];
        let number = |text: &str| text.parse().ok().filter(|n| *n <= MAX_REPEAT).ok_or(EreError::Interval);
        let (min, max) = match text.split_once(',') {
            None => (number(text)?, Some(number(text)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        if max.is_some_and(|max| max < min) { Err(EreError::Interval) } else { Ok((min, max)) }
    }

    /// A bracket expression, behind its `[`. A `]` that comes first stands for itself, and so does a backslash.
    fn bracket(&mut self) -> Result<Set, EreError> {
        let negated = self.take(b'^');
        let mut set = Set::EMPTY;
        let mut first = true;
        loop {
            let (&octet, rest) = self.rest.split_first().ok_or(EreError::Bracket)?;
            if octet == b']' && !first {
                self.rest = rest;
                return Ok(if negated { set.complement() } else { set });
            }
            first = false;
            if self.rest.starts_with(b"[:") {
                self.class(&mut set)?;
                continue;
            }
            self.rest = rest;
            match *self.rest {
                [b'-', last, ..] if last != b']' => {
                    if last < octet {
                        return Err(EreError::Bracket);
                    }
                    (octet..=last).for_each(|o| set.add(o));
                    self.rest = &self.rest[2..];
                }
                _ => set.add(octet),
            }
        }
    }

    fn class(&mut self, set: &mut Set) -> Result<(), EreError> {
        let end = self.rest.windows(2).position(|w| w == b":]").ok_or(EreError::Bracket)?;
        let name = self.rest.get(2..end).ok_or(EreError::Bracket)?;
        self.rest = &self.rest[end + 2..];
        let member: fn(&u8) -> bool = match name {
            b"alnum" => u8::is_ascii_alphanumeric,
            b"alpha" => u8::is_ascii_alphabetic,
            b"blank" => |o| matches!(o, b' ' | b'\t'),
            b"cntrl" => u8::is_ascii_control,
            b"digit" => u8::is_ascii_digit,
            b"graph" => u8::is_ascii_graphic,
            b"lower" => u8::is_ascii_lowercase,
            b"print" => |o| o.is_ascii_graphic() || *o == b' ',
            b"punct" => u8::is_ascii_punctuation,
            b"space" => |o| o.is_ascii_whitespace() || *o == 0x0b,
            b"upper" => u8::is_ascii_uppercase,
            b"xdigit" => u8::is_ascii_hexdigit,
            _ => return Err(EreError::Bracket),
        };
        (0..=u8::MAX).filter(member).for_each(|o| set.add(o));
        Ok(())
    }
}

fn single(octet: u8) -> Set {
    let mut set = Set::EMPTY;
    set.add(octet);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, text: &str) -> bool {
        Ere::new(expression).unwrap_or_else(|e| panic!("{expression}: {e}")).is_match(text.as_bytes())
    }

    #[test]
    fn what_each_construct_matches_and_does_not() {
        for (expression, yes, no) in [
            ("", &["", "a"][..], &[][..]),
            ("^\\+33", &["+33", "+33612"], &["33", "a+33"]),
            ("^06[0-9]{8}$", &["0612345678"], &["061234567", "06123456789", "06a2345678"]),
            ("a|bc|", &["", "x"], &[]),
            ("^(a|bc)d$", &["ad", "bcd"], &["abd", "bd", "d"]),
            ("^ab*c$", &["ac", "abbbc"], &["abb", "bc"]),
            ("^ab+c$", &["abc", "abbc"], &["ac"]),
            ("^ab?c$", &["ac", "abc"], &["abbc"]),
            ("^(ab){2,3}$", &["abab", "ababab"], &["ab", "abababab"]),
            ("^a{2,}$", &["aa", "aaaaa"], &["a"]),
            ("^a{0}b$", &["b"], &["ab"]),
            ("^[^0-9]$", &["a", "-"], &["1", ""]),
            ("^[]a-c^-]+$", &["]", "b", "-^"], &["d"]),
            ("^[[:digit:][:upper:]_]+$", &["A1_"], &["a"]),
            ("^a.c$", &["abc", "a\nc"], &["ac"]),
            ("\\.\\*$", &["x.*"], &["x*"]),
            ("x$", &["ax"], &["xa"]),
            ("(^a|b)c", &["ac", "xbc"], &["xac"]),
            ("(a*)*b", &["aab", "b"], &["aaa"]),
        ] {
            yes.iter().for_each(|text| assert!(matches(expression, text), "{expression} {text:?}"));
            no.iter().for_each(|text| assert!(!matches(expression, text), "{expression} {text:?}"));
        }
    }

    #[test]
    fn refused_expressions_name_the_reason() {
        let deep = "(".repeat(MAX_DEPTH + 1) + &")".repeat(MAX_DEPTH + 1);
        for (expression, error) in [
            ("(a", EreError::Parenthesis),
            ("a)", EreError::Parenthesis),
            ("[a", EreError::Bracket),
            ("[b-a]", EreError::Bracket),
            ("[[:what:]]", EreError::Bracket),
            ("a{", EreError::Interval),
            ("a{3,2}", EreError::Interval),
            ("a{256}", EreError::Interval),
            ("*a", EreError::NothingToRepeat),
            ("a\\", EreError::TrailingBackslash),
            ("((a{255}){255}){255}", EreError::TooLarge),
            ("((((){255}){255}){255}){255}", EreError::TooLarge),
            (&deep, EreError::TooLarge),
        ] {
            assert_eq!(Ere::new(expression).err(), Some(error), "{expression}");
        }
    }

    #[test]
    fn a_pattern_that_ruins_backtracking_takes_linear_time() {
        let ere = Ere::new("^(a?){64}(a+)+$").expect("an expression");
        assert!(ere.is_match(&[b'a'; 4000]));
        assert!(!ere.is_match(&[&[b'a'; 4000][..], b"b"].concat()));
    }

    #[test]
    fn no_expression_of_odd_octets_panics() {
        let mut rng = crate::base::rng::Rng::from_seed(5);
        let alphabet = b"ab(|)[]^$*+?{}1,:-\\.";
        for _ in 0..5000 {
            let text: String = (0..rng.below(14))
                .map(|_| char::from(alphabet[rng.below(alphabet.len() as u64) as usize]))
                .collect();
            if let Ok(ere) = Ere::new(&text) {
                let _ = ere.is_match(b"ab1");
            }
        }
    }
}
