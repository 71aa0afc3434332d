/** Collects remarks about single files, so that a thousand equal ones become one line. */
export interface Remarks {
  /** A remark about one file: "is partly transparent: …". */
  about(name: string, text: string): void;
  add(text: string): void;
  /** One line per remark, in order of appearance. */
  lines(): string[];
}

export function createRemarks(): Remarks {
  const files = new Map<string, string[]>();
  const add = (text: string, name?: string) => {
    const names = files.get(text) ?? [];
    if (name !== undefined) names.push(name);
    files.set(text, names);
  };
  return {
    about: (name, text) => add(text, name),
    add: (text) => add(text),
    lines: () =>
      [...files].map(([text, names]) => {
        if (names.length === 0) return text;
        return names.length === 1
          ? `${names[0]} ${text}`
          : `${names.length} files, ${names[0]} first: ${text}`;
      }),
  };
}
