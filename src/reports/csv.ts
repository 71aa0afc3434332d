/** scores.csv: one line per image (RFC 4180: CRLF, quotes doubled), safe to open in a spreadsheet. */

export interface ScoreRow {
  file: string;
  /** Null when unknown. */
  label: 0 | 1 | null;
  type: string | null;
  score: number;
  /** Null without a threshold. */
  verdict: 'normal' | 'anomalous' | null;
}

/** Header and rows; scores are written so that reading them gives the same number back. */
export function scoresCsv(rows: Iterable<ScoreRow>): string {
  const lines = ['file,label,type,score,verdict'];
  for (const { file, label, type, score, verdict } of rows) {
    lines.push([textCell(file), label ?? '', textCell(type ?? ''), String(score), verdict ?? ''].join(','));
  }
  return lines.join('\r\n') + '\r\n';
}

/**
 * Quotes where needed. A spreadsheet would run text that begins like a formula (= + - @, tab, carriage return), and
 * file names come from anywhere: such text gets an apostrophe in front, the spreadsheets' own mark for "this is text".
 */
function textCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}
