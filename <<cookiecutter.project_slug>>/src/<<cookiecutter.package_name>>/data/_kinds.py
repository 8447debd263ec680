"""What the values of a column are: missing, true or false, dates."""

# What stands for a missing value, in files and in text columns: what pandas takes for one, and two signs of old
# statistics files. Words such as "none" are values: a missing fence is a kind of fence.
MISSING_VALUES = frozenset(
    {
        "",
        "?",
        "-",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
    }
    | {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)

TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0}
# Tried in turn, and taken if every value fits: where day and month could be exchanged, the day comes first.
DATE_FORMATS = (
    "ISO8601",
    *(
        f"{day}{time}"
        for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
        for day in (
            "%d/%m/%Y",
            "%m/%d/%Y",
            "%d.%m.%Y",
            "%d-%m-%Y",
            "%m-%d-%Y",
            "%Y/%m/%d",
            "%d.%m.%y",
            "%m/%d/%y",
        )
    ),
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
