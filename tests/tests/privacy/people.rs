//! People who do not exist, with cards, accounts and words that are right by every check and stand nowhere else, so
//! that wherever one is found it has leaked.

/// A person's values; each of them is a secret.
pub struct Person {
    /// As it is sent: digits, or with spaces or dashes.
    pub pan: String,
    pub iban: String,
    pub number: &'static str,
    pub name: &'static str,
    pub payee: &'static str,
    pub email: String,
    pub phone: String,
    pub merchant: String,
    pub shop: &'static str,
    pub terminal: String,
    pub device: String,
    pub agent: &'static str,
    pub text: &'static str,
}

/// Names, payees, shops, texts: the first with letters beyond ASCII too.
const WORDS: [(&str, &str, &str, &str); 6] = [
    (
        "Zbigniew Quillfeather",
        "Ottoline Brackwater",
        "Wexelblatt Fine Fish",
        "ledger of the quokka house 7731",
    ),
    ("Ágota Wexelblatt", "Þorbjörg Halvarsdóttir", "Café Zwölfender", "für den Umzug nach Ömsköldsvik"),
    (
        "Jacinta Vermeulenbos",
        "Percival Oakentrough",
        "Drumlanrig Antiques",
        "second half of the piano, call me",
    ),
    ("王小明珠海", "Никифор Заболоцкий", "Лавка Древностей", "за картину из прихожей"),
    (
        "Thaddeus Blumenkrantz",
        "Eudoxia Marrowbone",
        "Pellworm Candle Works",
        "birthday wreath for grandmother",
    ),
    ("Ximena Urrutigoity", "Bartholomew Snodgrass", "Kettlewell Saddlery", "rent of the boathouse in may"),
];

fn luhn(body: &str) -> String {
    let digit = |n: u32| format!("{body}{n}");
    let holds = |pan: &String| {
        let weigh = |(place, c): (usize, char)| {
            let digit = c.to_digit(10).expect("digits");
            if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        };
        pan.chars().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
    };
    (0..10).map(digit).find(holds).expect("one of ten digits is right")
}

fn iban(bban: &str) -> String {
    // DE00 moved to the end, letters as numbers (D = 13, E = 14), mod 97.
    let moved = format!("{bban}131400");
    let rest = moved.bytes().fold(0u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{bban}", 98 - rest)
}

/// Some people, their PANs written in three ways.
pub fn people() -> Vec<Person> {
    let person = |n: usize| {
        let (name, payee, shop, text) = WORDS[n];
        let seed = 73_519 * (n as u64 + 3);
        let digits = luhn(&format!(
            "{}{:011}",
            [4539, 5425, 4716, 5186, 3714, 6011][n],
            seed * 7_919_777 % 100_000_000_000
        ));
        let grouped = |separator: &str| {
            let groups: Vec<&str> = (0..4).map(|at| &digits[at * 4..at * 4 + 4]).collect();
            groups.join(separator)
        };
        Person {
            pan: [digits.clone(), grouped(" "), grouped("-")][n % 3].clone(),
            iban: iban(&format!("{:018}", seed * 918_273_645_546 % 1_000_000_000_000_000_000)),
            number: ["77310042", "88420153", "99531264", "66642375", "55753486", "44864597"][n],
            name,
            payee,
            email: format!("quill.reader{n}81@letters{n}.example"),
            phone: format!("+3519{:08}", seed * 31 % 100_000_000),
            merchant: format!("MERCHANT-QX{seed}"),
            shop,
            terminal: format!("TERM-QX{seed}"),
            device: format!("device-qx-{seed}"),
            agent: "Quokka/7.31 (very private)",
            text,
        }
    };
    (0..WORDS.len()).map(person).collect()
}

impl Person {
    /// The PAN's digits alone.
    pub fn digits(&self) -> String {
        self.pan.chars().filter(char::is_ascii_digit).collect()
    }
    /// Everything that must be found nowhere, in the spellings in which it could be kept.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = [
            self.pan.as_str(),
            &self.iban,
            &self.iban[4..],
            self.number,
            self.name,
            self.payee,
            &self.email,
            &self.phone,
            &self.phone[1..],
            &self.merchant,
            self.shop,
            &self.terminal,
            &self.device,
            self.agent,
            self.text,
        ]
        .map(str::to_owned)
        .into();
        secrets.push(self.digits());
        // Of an address the domain may be kept, not whose it is.
        secrets.push(self.email.split('@').next().expect("an address").to_owned());
        // Folded for comparison: small letters without accents, and each word alone.
        let fold = |c: char| match c {
            'Á' => 'a',
            'ö' | 'ó' => 'o',
            'ü' => 'u',
            other => other,
        };
        for name in [self.name, self.payee] {
            let folded: String = name.chars().map(fold).collect::<String>().to_lowercase();
            secrets.extend(folded.split(' ').filter(|word| word.len() >= 6).map(str::to_owned));
            secrets.push(folded);
        }
        secrets
    }
}
