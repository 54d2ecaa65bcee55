// The form of a new template: asks for an example of each variable, and for the fields that a button has.
"use strict";

const newTemplate = document.getElementById("new-template");

function variablesIn(text) {
  return [...text.matchAll(/\{\{\s*(\d+)\s*\}\}/g)].map((found) => Number(found[1]));
}
function suitTemplateForm() {
  const fields = newTemplate.elements;
  const most = Math.max(0, ...variablesIn(fields.body.value));
  each("[data-sample]", (box) => {
    const which = box.dataset.sample;
    box.hidden = which === "header" ? variablesIn(fields.header.value).length === 0 : Number(which) > most;
  }, newTemplate);
  each("[data-not-for-codes]", (box) => { box.hidden = fields.category.value === "AUTHENTICATION"; }, newTemplate);
  each(".button-row", (row) => {
    const kind = row.querySelector("select").value;
    const target = row.querySelector(".target");
    row.querySelector("[name^=label]").hidden = !kind;
    target.hidden = kind !== "URL" && kind !== "PHONE_NUMBER";
    row.querySelector(".example").hidden = kind !== "URL" || variablesIn(target.value).length === 0;
  }, newTemplate);
}
if (newTemplate) {
  newTemplate.addEventListener("input", suitTemplateForm);
  suitTemplateForm();
}
