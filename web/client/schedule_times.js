/** The times of schedules, in words and as the API's expressions. */

const DAYS = { SUN: "Sunday", MON: "Monday", TUE: "Tuesday", WED: "Wednesday", THU: "Thursday" };
Object.assign(DAYS, { FRI: "Friday", SAT: "Saturday" });

/** The repetitions that the form offers by name. The last one is an expression of the user's. */
export const REPEATS = [
  ["*", "Every day"],
  ["MON-FRI", "Weekdays"],
  ["weekly", "Every week"],
  ["own", "Other"],
];

/** The days of the week, from Monday. */
export const WEEK = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"].map((day) => [day, DAYS[day]]);

export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Returns the expression for a choice of the form. */
export function expressionOf({ repeat, day, time, own }) {
  if (repeat === "own") return own.trim();
  const [hours, minutes] = time.split(":").map(Number);
  if (repeat === "*") return `cron(${minutes} ${hours} * * ? *)`;
  return `cron(${minutes} ${hours} ? * ${repeat === "weekly" ? day : repeat} *)`;
}

/** Returns an expression in words, or unchanged if there are no simple words for it. */
export function inWords(expression) {
  const rate = /^rate\((\d+) (.+)\)$/.exec(expression);
  if (rate) return rate[1] === "1" ? `every ${rate[2]}` : `every ${rate[1]} ${rate[2]}`;
  const once = /^at\((\S+)T(\d\d:\d\d).*\)$/.exec(expression);
  if (once) return `once on ${once[1]} at ${once[2]}`;
  const [, minutes, hours, date, days] =
    /^cron\((\d+) (\d+) (\*|\?) \* (\?|\*|MON-FRI|[A-Z]{3}) \*\)$/.exec(expression) ?? [];
  if (minutes === undefined) return expression;
  const time = `${hours.padStart(2, "0")}:${minutes.padStart(2, "0")}`;
  if (date === "*" || days === "*") return `every day at ${time}`;
  return days === "MON-FRI" ? `on weekdays at ${time}` : `every ${DAYS[days]} at ${time}`;
}
