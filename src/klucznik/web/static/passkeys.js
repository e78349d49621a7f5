// Forms with data-passkey="get" or "create": fetches the challenge, asks the browser, sends its answer with the form.
// Without JavaScript, or where the browser knows no passkeys, these forms stay hidden and the others do the work.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const known = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

async function ask(kind, from) {
  const answer = await fetch(from, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const options = await answer.json();
  options.challenge = bytes(options.challenge);
  if (kind === "get") {
    options.allowCredentials = known(options.allowCredentials);
    const got = await navigator.credentials.get({ publicKey: options });
    return {
      id: got.id,
      rawId: text(got.rawId),
      type: got.type,
      response: {
        clientDataJSON: text(got.response.clientDataJSON),
        authenticatorData: text(got.response.authenticatorData),
        signature: text(got.response.signature),
        userHandle: got.response.userHandle ? text(got.response.userHandle) : null,
      },
    };
  }
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = known(options.excludeCredentials);
  const made = await navigator.credentials.create({ publicKey: options });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    },
  };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) break;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector("[data-problem]");
    problem.hidden = true;
    try {
      form.elements.answer.value = JSON.stringify(await ask(form.dataset.passkey, form.dataset.from));
    } catch {
      problem.hidden = false;
      return;
    }
    form.submit();
  });
}
