//! "Did you mean": the known word nearest to an unknown one.

/// Candidates that are looked at.
const MAX_CANDIDATES: usize = 1000;

/// The candidate nearest to `word`, if it is near enough to be a slip: a third of its letters, case not counted.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().take(MAX_CANDIDATES) {
        if candidate.len().abs_diff(word.len()) > 4 * limit {
            continue;
        }
        let distance = distance(&word.to_lowercase(), &candidate.to_lowercase());
        if distance <= limit && best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Letters to insert, drop, change or swap with their neighbour (the restricted Damerau-Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for row in 1..=a.len() {
        let mut line = vec![row];
        for column in 1..=b.len() {
            let change = usize::from(a[row - 1] != b[column - 1]);
            let mut best = (above[column] + 1).min(line[column - 1] + 1).min(above[column - 1] + change);
            if row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1] {
                best = best.min(before[column - 2] + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_does_not() {
        let known = ["sip_addr", "sctp_addr", "domain", "K"];
        assert_eq!(did_you_mean("sip_adr", known), Some("sip_addr"));
        assert_eq!(did_you_mean("Domain", known), Some("domain"));
        assert_eq!(did_you_mean("doamin", known), Some("domain"));
        assert_eq!(did_you_mean("gtp_path_list", known), None);
    }
}
