import"./shop.chunk-HKEKSEUT.js";import"./shop.chunk-NOV75CWV.js";
