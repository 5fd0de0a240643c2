//! The operators of the configuration language (manual 5.1, points 1 to 3) on values without places.

use super::print;
use super::value::Data;
use std::cmp::Ordering;

/// Whether a value holds as a condition: a boolean, or a number other than 0. None for all other values.
pub fn truth(data: &Data) -> Option<bool> {
    match *data {
        Data::Bool(value) => Some(value),
        Data::Number(value) => Some(value != 0.0),
        Data::Complex(..) => Some(true),
        _ => None,
    }
}

/// How tightly a binary operator binds; the higher, the tighter. None for what is no operator.
pub fn binding(symbol: &str) -> Option<u8> {
    Some(match symbol {
        "||" => 1,
        "&&" => 2,
        "==" | "!=" => 3,
        "<" | "<=" | ">" | ">=" => 4,
        "+" | "-" => 5,
        "*" | "/" => 6,
        _ => return None,
    })
}

/// `-x`, `+x` or `!x`. The error says why there is no such value.
pub fn unary(symbol: &str, data: Data) -> Result<Data, String> {
    match (symbol, &data) {
        (_, Data::Invalid) => Ok(Data::Invalid),
        ("!", _) => match truth(&data) {
            Some(value) => Ok(Data::Bool(!value)),
            None => Err(format!("`!` needs true or false, not {}", data.kind())),
        },
        _ => match numeric(&data) {
            Some((re, im)) if symbol == "-" => finite(-re, -im),
            Some((re, im)) => finite(re, im),
            None => Err(format!("`{symbol}` needs a number, not {}", data.kind())),
        },
    }
}

/// A binary operator on two values. The error says why there is no such value.
pub fn binary(symbol: &str, left: Data, right: Data) -> Result<Data, String> {
    if left == Data::Invalid || right == Data::Invalid {
        return Ok(Data::Invalid);
    }
    match symbol {
        "==" => Ok(Data::Bool(equal(&left, &right))),
        "!=" => Ok(Data::Bool(!equal(&left, &right))),
        "<" | "<=" | ">" | ">=" => compare(symbol, &left, &right),
        "&&" | "||" => match (truth(&left), truth(&right)) {
            (Some(left), Some(right)) => {
                Ok(Data::Bool(if symbol == "&&" { left && right } else { left || right }))
            }
            _ => Err(misfit(symbol, "two conditions", &left, &right)),
        },
        "+" => match (&left, &right) {
            (Data::String(_), _) | (_, Data::String(_)) => concatenate(&left, &right),
            _ => arithmetic(symbol, &left, &right),
        },
        _ => arithmetic(symbol, &left, &right),
    }
}

/// A value as the text that a backquote string or a concatenation puts in its place; none for what has no such text.
pub fn text_of(data: &Data) -> Option<String> {
    match data {
        Data::String(text) => Some(text.clone()),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Complex(..) => Some(print::one_line(data)),
        Data::Array(_) | Data::Object(_) | Data::Invalid => None,
    }
}

fn concatenate(left: &Data, right: &Data) -> Result<Data, String> {
    match (text_of(left), text_of(right)) {
        (Some(left), Some(right)) => Ok(Data::String(left + &right)),
        _ => Err(misfit("+", "two strings or two numbers", left, right)),
    }
}

fn compare(symbol: &str, left: &Data, right: &Data) -> Result<Data, String> {
    let order = match (left, right) {
        (Data::String(left), Data::String(right)) => left.cmp(right),
        _ => match (real(left), real(right)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => return Err(misfit(symbol, "two numbers or two strings", left, right)),
        },
    };
    Ok(Data::Bool(match symbol {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

/// Equality; a boolean equals the number that stands for it.
fn equal(left: &Data, right: &Data) -> bool {
    match (numeric(left), numeric(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn arithmetic(symbol: &str, left: &Data, right: &Data) -> Result<Data, String> {
    let (Some((a, b)), Some((c, d))) = (numeric(left), numeric(right)) else {
        return Err(misfit(symbol, "two numbers", left, right));
    };
    match symbol {
        "+" => finite(a + c, b + d),
        "-" => finite(a - c, b - d),
        "*" => finite(a * c - b * d, a * d + b * c),
        _ => {
            let square = c * c + d * d;
            if square == 0.0 {
                return Err("division by zero".to_owned());
            }
            if d == 0.0 {
                return finite(a / c, b / c);
            }
            finite((a * c + b * d) / square, (b * c - a * d) / square)
        }
    }
}

/// Real and imaginary part; a boolean is 0 or 1.
fn numeric(data: &Data) -> Option<(f64, f64)> {
    match *data {
        Data::Number(value) => Some((value, 0.0)),
        Data::Complex(re, im) => Some((re, im)),
        Data::Bool(value) => Some((f64::from(u8::from(value)), 0.0)),
        _ => None,
    }
}

fn real(data: &Data) -> Option<f64> {
    // Adding zero turns -0 into 0, so that the two compare equal.
    numeric(data).filter(|(_, im)| *im == 0.0).map(|(re, _)| re + 0.0)
}

/// A number, complex only where it has an imaginary part.
fn finite(re: f64, im: f64) -> Result<Data, String> {
    match (re.is_finite() && im.is_finite(), im == 0.0) {
        (false, _) => Err("the result is too large".to_owned()),
        (true, true) => Ok(Data::Number(re)),
        (true, false) => Ok(Data::Complex(re, im)),
    }
}

fn misfit(symbol: &str, wanted: &str, left: &Data, right: &Data) -> String {
    format!("`{symbol}` needs {wanted}, not {} and {}", left.kind(), right.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complex_numbers_follow_their_rules() {
        let i = || Data::Complex(0.0, 1.0);
        assert_eq!(binary("*", i(), i()), Ok(Data::Number(-1.0)));
        assert_eq!(binary("/", Data::Number(1.0), i()), Ok(Data::Complex(0.0, -1.0)));
        assert_eq!(binary("-", i(), i()), Ok(Data::Number(0.0)));
        assert_eq!(
            binary("==", binary("*", Data::Number(2.0), i()).unwrap(), Data::Complex(0.0, 2.0)),
            Ok(Data::Bool(true))
        );
        assert!(binary("<", i(), Data::Number(1.0)).is_err());
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        assert_eq!(binary("/", Data::Number(1.0), Data::Number(0.0)), Err("division by zero".into()));
        assert_eq!(
            binary("*", Data::Number(1e300), Data::Number(1e300)),
            Err("the result is too large".into())
        );
        assert_eq!(
            binary("*", Data::String("a".into()), Data::Number(2.0)),
            Err("`*` needs two numbers, not a string and a number".into())
        );
        assert!(unary("!", Data::String("a".into())).is_err());
        assert!(binary("+", Data::String("a".into()), Data::Array(vec![])).is_err());
    }

    #[test]
    fn an_error_is_said_once() {
        assert_eq!(binary("+", Data::Invalid, Data::Array(vec![])), Ok(Data::Invalid));
        assert_eq!(unary("-", Data::Invalid), Ok(Data::Invalid));
    }
}
