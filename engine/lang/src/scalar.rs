//! What plain scalars mean: the core schema of YAML 1.2 (chapter 10.3.2), `yes` being text.

use crate::tree::Scalar;

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }

    /// Whether it reads as a bool to someone used to YAML 1.1.
    pub(crate) fn old_bool(&self) -> Option<bool> {
        match self.text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => Some(true),
            "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    /// A whole number: decimal, `0o17` or `0xff`. `None` also where it does not fit 64 bits.
    pub(crate) fn as_int(&self) -> Option<i64> {
        let text = self.text.as_str();
        if !self.plain {
            return None;
        }
        if let Some(digits) = text.strip_prefix("0o") {
            return i64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-']));
        }
        if let Some(digits) = text.strip_prefix("0x") {
            return i64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-']));
        }
        text.parse().ok()
    }

    /// A finite number.
    pub(crate) fn as_float(&self) -> Option<f64> {
        if let Some(int) = self.as_int() {
            return Some(int as f64);
        }
        let starts_well = self.text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let digits = self.text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        if !self.plain || !starts_well || !digits {
            return None;
        }
        self.text.parse().ok().filter(|number: &f64| number.is_finite())
    }
}
