// What the wizard's pages do besides: count down a document's time, say how long a password is. Everything works
// without: the server says until when, and judges the password.
"use strict";

(() => {
  const clocks = () => document.querySelectorAll("[data-countdown]");

  // The server's clock counts, not this device's: the moment at which the page came is known of both.
  const start = (clock) => {
    const ahead = Date.parse(clock.dataset.now) - Date.now();
    const until = Date.parse(clock.dataset.until);
    const shown = clock.querySelector("[data-shown]");
    const over = document.getElementById(clock.dataset.over);
    const tick = () => {
      const left = Math.max(0, Math.floor((until - Date.now() - ahead) / 1000));
      shown.textContent = `${clock.dataset.left} ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      clock.classList.toggle("clock-short", left < 120);
      if (left > 0) return;
      clearInterval(timer);
      clock.hidden = true;
      over.hidden = false;
    };
    const timer = setInterval(tick, 1000);
    tick();
  };

  const tell = (place) => {
    const field = document.getElementById(place.dataset.passwordTold);
    field.addEventListener("input", () => {
      const text = field.value;
      const [shortest, least, most] = [place.dataset.shortest, place.dataset.least, place.dataset.most].map(Number);
      if (text === "") place.textContent = "";
      else if (/[^\x20-\x7e]/.test(text)) place.textContent = place.dataset.letters;
      else if (text.length < shortest) place.textContent = place.dataset.tooShort;
      else place.textContent = text.length >= least && text.length <= most ? place.dataset.fits : place.dataset.long;
    });
  };

  clocks().forEach(start);
  document.querySelectorAll("[data-password-told]").forEach(tell);
})();
