// How something below the API is addressed. Apart from `api.js`, because the page's first module needs it before all else.

export const ROOT = "/api/v1";

/** The address of something below the API, for downloads and frames. Undefined, null and empty lists are left out. */
export function href(path, query) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") given.append(name, one);
  }
  const text = given.toString();
  return `${ROOT}${path}${text ? `?${text}` : ""}`;
}

/** A part of an address as it was before it was written there; as it stands, where nobody can have written it so. */
export function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
